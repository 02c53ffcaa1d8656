// The raw data of .out/ as Markdown.
import { cpus, release, totalmem, type } from "node:os";
import { rows } from "../plan.mjs";
import { wanted as wantedSizes } from "../rows/size.mjs";
import { best, closest, compared, isRate, load, median, short, wantOf } from "./figures.mjs";

const RUNTIMES = ["bun", "deno", "node"];
const TITLES = { bun: "Bun", deno: "Deno", node: "Node" };

export function report(out) {
  const sections = Object.entries(rows)
    .map(([name, row]) => {
      const data = Object.fromEntries(RUNTIMES.map((runtime) => [runtime, load(out, name, runtime)]));
      return { name, row, data };
    })
    .filter(({ data }) => RUNTIMES.some((runtime) => data[runtime] !== undefined));
  return [head(sections), verdicts(sections), ...sections.map(section)].join("\n\n") + "\n";
}

function head(sections) {
  const versions = RUNTIMES.flatMap((runtime) => {
    const version = sections.map(({ data }) => data[runtime]?.version).findLast((each) => each !== undefined);
    return version === undefined ? [] : [`${TITLES[runtime]} ${version}`];
  });
  const dates = sections
    .flatMap(({ data }) => RUNTIMES.map((runtime) => data[runtime]?.date))
    .filter(Boolean)
    .sort();
  return `# Benchmark results

Written by \`npm run bench\`, ${dates[0]} to ${
    dates.at(
      -1,
    )
  } UTC. Ratios are what counts: both sides were measured in
the same run. Absolute figures only show the scale.

- Machine: ${cpus().length} x ${cpus()[0]?.model.trim()}, ${
    Math.round(
      totalmem() / 2 ** 30,
    )
  } GiB, ${type()} ${release()}, shared with other work.
- Runtimes: ${versions.join(", ")}. Peers: the exact versions in \`bench/package.json\`.
- In one process: each candidate in a process of its own, 3 interleaved rounds in random order, 5 samples of 40 ms each
  after 300 ms of warm-up, timed by mitata. A ratio is of the best samples (noise can only add), in brackets of the medians.
- Between processes: closed loop, 1 s at each level after 0.5 s of warm-up, 5 interleaved rounds; ratios of the medians,
  in brackets of the best rounds. CPU time is both processes'; it suffers least when others use the machine too.
- Shards that move, scaling, events through NATS: 5 interleaved rounds, queue of jobs and Redis: 3, membership, limits and caches: 2;
  ratios of the medians, in brackets of the best rounds.
- Start: 10 interleaved starts; the ratio of the best, in brackets of the medians. Memory: medians.`;
}

function verdicts(sections) {
  const all = sections.flatMap(({ row, data }) =>
    row.kind === "size" ? sizeVerdicts(row, data) : rowVerdicts(row, data)
  );
  const figures = all.flatMap(({ results }) => results).filter((result) => result?.met !== undefined);
  const lines = all.map(({ what, wanted, results }) => {
    const cells = results.map((result) => {
      if (result === undefined) return "";
      return result.met === false ? `${result.text} **missed**` : result.text;
    });
    return `| ${what} | ${wanted} | ${cells.join(" | ")} |`;
  });
  return `## Wanted and reached

${
    figures.filter(({ met }) => met).length
  } of ${figures.length} figures reached what the issues wanted; the others say **missed**.

| What | Wanted | Bun | Deno | Node |
|---|---|---|---|---|
${lines.join("\n")}`;
}

function rowVerdicts(row, data) {
  const title = row.title.split(", ")[0];
  const verdicts = row.compare
    .filter(wants)
    .map((comparison) => ({
      what: `${title}: ${label(comparison)}`,
      wanted: wish(row, comparison),
      results: RUNTIMES.map((runtime) => compared(row, comparison, data[runtime], runtime)),
    }));
  const groups = new Map();
  for (const comparison of row.compare.filter(({ peer }) => peer)) {
    const { ours, level } = comparison;
    const key = `${ours} / closest peer${level === undefined ? "" : `, ${level} in flight`}`;
    groups.set(key, [...(groups.get(key) ?? []), comparison]);
  }
  for (const [key, peers] of groups) {
    const results = RUNTIMES.map((runtime) => closest(row, peers, data[runtime], runtime));
    verdicts.push({ what: `${title}: ${key}`, wanted: isRate(row, peers[0]) ? "> 1" : "< 1", results });
  }
  return verdicts;
}

function sizeVerdicts(row, data) {
  return Object.entries(wantedSizes).map(([entry, limit]) => {
    const gzip = data.bun?.sizes.catga[entry]?.gzip;
    const result = gzip === undefined ? undefined : { text: kb(gzip), met: gzip <= limit * 1000 };
    const what = entry === "." ? "mediator entry" : entry;
    return {
      what: `${row.title}: ${what}, gzip kB`,
      wanted: `≤ ${limit}`,
      results: [result, undefined, undefined],
    };
  });
}

function section({ row, data }) {
  const tables = row.kind === "size"
    ? [sizeTable(data.bun.sizes)]
    : [...(row.compare.length > 0 ? [ratioTable(row, data)] : []), scaleTable(row, data)];
  const dates = new Set(RUNTIMES.flatMap((runtime) => data[runtime]?.date ?? []));
  const failed = RUNTIMES.flatMap((runtime) =>
    Object.entries(data[runtime]?.errors ?? {}).map(
      ([name, error]) => `- Not measured on ${TITLES[runtime]}: ${name} (${error.split("\n")[0]})`,
    )
  );
  const notes = [
    ...row.notes.map((note) => `- ${note}`),
    `- Measured ${[...dates].join(", ")} UTC.`,
    ...failed,
  ];
  return [`## ${row.title}`, notes.join("\n"), ...tables].join("\n\n");
}

function ratioTable(row, data) {
  const lines = row.compare
    .filter(({ wantAbsolute }) => wantAbsolute === undefined)
    .map((comparison) => {
      const cells = RUNTIMES.map((runtime) => compared(row, comparison, data[runtime], runtime)?.text ?? "");
      return `| ${label(comparison)} | ${cells.join(" | ")} |`;
    });
  return `| ${meaning(row)} | Bun | Deno | Node |\n|---|---|---|---|\n${lines.join("\n")}`;
}

function scaleTable(row, data) {
  const columns = RUNTIMES.filter((runtime) => data[runtime] !== undefined);
  const figures = {
    local: [["ns", row.unit, (values) => `${short(best(values))} (${short(median(values))})`]],
    heap: [["bytes", row.unit, (values) => short(median(values))]],
    startup: [
      ["ms", "ms to the first answer", (values) => `${short(best(values))} (${short(median(values))})`],
      ["mb", "MB resident", (values) => short(median(values))],
    ],
    figures: Object.entries(row.figures ?? {}).map(([figure, unit]) => [figure, unit, spread]),
    remote: (row.levels ?? []).map((level) => [
      level,
      `${level} in flight: calls/s, p50/p99 ms, client+server${row.broker ? "+broker" : ""} CPU µs`,
    ]),
  }[row.kind];
  const lines = figures.flatMap(([figure, unit, show]) =>
    row.candidates.map((name) => {
      const cells = columns.map((runtime) => {
        if (row.kind === "remote") {
          return remoteCell(data[runtime]?.figures?.[name], figure);
        }
        const values = data[runtime]?.figures?.[name]?.[figure];
        return values === undefined ? "" : show(values);
      });
      return `| ${name} | ${unit} | ${cells.join(" | ")} |`;
    })
  );
  const titles = columns.map((runtime) => TITLES[runtime]).join(" | ");
  const rule = columns.map(() => "---").join("|");
  return `<details><summary>Scale</summary>\n\n| | | ${titles} |\n|---|---|${rule}|\n${
    lines.join(
      "\n",
    )
  }\n\n</details>`;
}

/** The median, and in brackets the least and the most. */
function spread(values) {
  return `${short(median(values))} (${short(Math.min(...values))} to ${short(Math.max(...values))})`;
}

function remoteCell(figures, level) {
  if (figures === undefined) return "";
  const of = (name) => median(figures[`${name}@${level}`]);
  const latency = `${short(of("p50"))}/${short(of("p99"))}`;
  const ends = ["clientCpu", "serverCpu", "brokerCpu"].filter((end) => `${end}@${level}` in figures);
  const cpu = ends.map((end) => short(of(end))).join("+");
  return `${short(of("perSecond"))}, ${latency}, ${cpu}`;
}

function sizeTable({ catga, peers }) {
  const line = (name, { min, gzip, error }) =>
    error === undefined ? `| ${name} | ${kb(min)} | ${kb(gzip)} |` : `| ${name} | not built: ${error} | |`;
  const ours = Object.entries(catga).map(([entry, size]) =>
    line(entry.startsWith(".") ? `@catga/catga${entry.slice(1)}` : `**${entry}**`, size)
  );
  const theirs = Object.entries(peers).map(([name, size]) => line(name, size));
  return `| | minified kB | gzip kB |\n|---|---|---|\n${[...ours, ...theirs].join("\n")}`;
}

function wants({ want, wantAbsolute, wantMore }) {
  return want !== undefined || wantAbsolute !== undefined || wantMore !== undefined;
}

function label({ ours, other, level, latency, p99, cpu, of, wantAbsolute }) {
  const what = wantAbsolute === undefined ? `${ours} / ${other}` : ours;
  if (level !== undefined) {
    return `${what}, ${latency ? "latency at " : p99 ? "P99 at " : cpu ? "CPU at " : ""}${level} in flight`;
  }
  const told = {
    ms: `${what}, start`,
    mb: `${ours} - ${other}, idle memory in MB`,
    frames: `${what}, frames`,
    bytes: `${what}, bytes`,
    cpu: `${what}, CPU`,
    ownCpu: `${what}, CPU of who tells`,
    p50: `${what}, latency`,
    requests: `${what}, requests`,
  };
  return told[of] ?? what;
}

function wish(row, comparison) {
  const { wantAbsolute, wantMore, p99, of } = comparison;
  const all = (want) => {
    const each = RUNTIMES.map((runtime) => wantOf({ want }, runtime));
    return new Set(each).size === 1 ? each[0] : each.join(" / ");
  };
  if (wantAbsolute !== undefined) return `≤ ${all(wantAbsolute)} ${p99 ? "ms" : row.unit ?? row.figures[of]}`;
  if (wantMore !== undefined) return `≤ +${wantMore}`;
  return `${isRate(row, comparison) ? "≥" : "≤"} ${all(comparison.want)}`;
}

function meaning(row) {
  if (row.kind === "remote") {
    return "Calls per second (higher is better), where it says so latency or CPU time a call (lower is better)";
  }
  if (row.kind === "figures" && row.rates !== undefined) {
    const cpu = row.compare.some((comparison) => !isRate(row, comparison));
    return `Calls per second (higher is better)${
      cpu ? ", where it says so CPU time each (lower is better)" : ""
    }`;
  }
  if (row.kind === "figures") return "A node and second (lower is better)";
  if (row.kind === "heap") return "Bytes (lower is better)";
  return "Time (lower is better)";
}

function kb(bytes) {
  return (bytes / 1000).toFixed(1);
}
