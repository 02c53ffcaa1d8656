/** A known hole in some versions of the server. */
interface Hole {
  readonly name: string;
  readonly what: string;
  /** The first versions of their lines without it; older lines all have it, newer ones none. */
  readonly fixed: readonly string[];
  /** Whether it matters only where WebSockets are taken. */
  readonly webSocket?: boolean;
}

const HOLES: readonly Hole[] = [
  {
    name: "CVE-2023-47090",
    what: "lets anybody in where only a system account is set up",
    fixed: ["2.9.23", "2.10.2"],
  },
  {
    name: "CVE-2025-30215",
    what: "lets one account manage the streams of another",
    fixed: ["2.10.27", "2.11.1"],
  },
  {
    name: "CVE-2026-27571",
    what: "a small message unpacks until memory is full",
    fixed: ["2.11.12", "2.12.3"],
    webSocket: true,
  },
  {
    name: "CVE-2026-27889",
    what: "a malformed frame ends the server",
    fixed: ["2.11.14", "2.12.5"],
    webSocket: true,
  },
  {
    name: "CVE-2026-33222",
    what: "goes around the permissions of a stream by restoring it",
    fixed: ["2.11.15", "2.12.6"],
  },
];

/** The known holes of a server's version, one sentence each; none for what is no version. */
export function knownHoles(version: string, webSocket: boolean): readonly string[] {
  const at = read(version);
  if (at === undefined) return [];
  return HOLES.filter((hole) => (webSocket || hole.webSocket !== true) && has(hole, at))
    .map(({ name, what, fixed }) => `${name}: ${what}; mended in ${fixed.join(" and ")}`);
}

type Version = readonly [major: number, minor: number, patch: number];

function has({ fixed }: Hole, at: Version): boolean {
  const lines = fixed.map((version) => read(version)!);
  const line = lines.find(([major, minor]) => major === at[0] && minor === at[1]);
  return isBefore(at, line ?? lines[0]!);
}

function isBefore(a: Version, b: Version): boolean {
  return a[0] !== b[0] ? a[0] < b[0] : a[1] !== b[1] ? a[1] < b[1] : a[2] < b[2];
}

function read(version: string): Version | undefined {
  const found = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version);
  return found === null ? undefined : [Number(found[1]), Number(found[2]), Number(found[3])];
}
