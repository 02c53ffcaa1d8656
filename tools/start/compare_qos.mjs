// A hundred orders, while one of three nodes is away for half of them: what each node heard of by QoS 0 and by QoS 1.
const ORDERS = 100;
const PATIENCE = 60_000;

/** Answers whether QoS 1 told every node of every order. */
export async function compare(nodes, launch) {
  const [first, second, third] = nodes;
  const made = [];
  console.log(
    `${ORDERS} orders; ${third.name} is killed after a quarter of them and comes back after three quarters.`,
  );
  for (let count = 0; count < ORDERS / 4; count++) made.push(await order([first, second, third][count % 3]));
  await until(async () => (await heard(third)).qos1.length === made.length);
  const before = await heard(third);
  third.expected = true;
  third.kill("SIGKILL");
  await third.ended;
  while (made.length < ORDERS * 3 / 4) made.push(await order([first, second][made.length % 2]));
  const again = launch(2);
  await again.ready(3, PATIENCE);
  while (made.length < ORDERS) made.push(await order([first, second, again][made.length % 3]));
  const told = (kind, now) => new Set([...before[kind], ...now[kind]]);
  await until(async () =>
    told("qos1", await heard(again)).size >= ORDERS &&
    (await Promise.all([first, second].map(heard))).every(({ qos1 }) => qos1.length >= ORDERS)
  );
  const lines = [];
  let whole = true;
  for (const node of [first, second, again]) {
    const now = await heard(node);
    const [qos0, qos1] = ["qos0", "qos1"].map((kind) =>
      node === again ? told(kind, now) : new Set(now[kind])
    );
    whole &&= made.every((id) => qos1.has(id));
    lines.push(
      `  ${node.name}  QoS 0: ${count(qos0, made)} of ${ORDERS}   QoS 1: ${count(qos1, made)} of ${ORDERS}`,
    );
  }
  console.log(lines.join("\n"));
  return whole;
}

const count = (told, made) => made.filter((id) => told.has(id)).length;

async function order({ url }) {
  const answer = await fetch(`${url}/orders`, {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": crypto.randomUUID() },
    body: JSON.stringify({ productId: "product-123", quantity: 1 }),
  });
  const body = await answer.json();
  if (answer.status !== 201) throw new Error(`${url} answered ${answer.status}: ${JSON.stringify(body)}`);
  return body.orderId;
}

async function heard({ url }) {
  return await (await fetch(`${url}/heard`)).json();
}

async function until(holds) {
  for (const end = Date.now() + PATIENCE; Date.now() < end;) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
