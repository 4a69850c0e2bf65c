const assert = require("assert");
const Jackd = require("jackd").default ?? require("jackd");

// Without pause-tube: jackd sends it without a line end, so no server answers. Stats are text.
function field(stats, key) {
  return Number(new RegExp(`^${key}: (\\d+)$`, "m").exec(stats)[1]);
}

async function main([host, port]) {
  const client = new Jackd({ host, port: Number(port), autoReconnect: false });
  await client.connect({ host, port: Number(port) });
  await client.use("mail");
  await client.watch("mail");
  await client.ignore("default");
  const body = "a\r\nb";
  const id = await client.put(body, { priority: 5, ttr: 30 });
  let job = await client.reserve();
  assert.equal(job.payload.toString(), body);
  assert.equal(job.id, id);
  await client.touch(job.id);
  await client.release(job.id, { priority: 7 });
  job = await client.reserve();
  await client.bury(job.id);
  assert.equal((await client.peekBuried()).id, id);
  assert.equal(await client.kick(10), 1);
  job = await client.reserveWithTimeout(5);
  assert.equal(field(await client.statsJob(job.id), "kicks"), 1);
  await client.delete(job.id);
  await assert.rejects(client.reserveWithTimeout(0));
  assert.equal(field(await client.stats(), "total-jobs"), 1);
  assert.equal(await client.listTubes(), "---\n- default\n- mail\n");
  await client.close();
  console.log(require("jackd/package.json").version);
}

main(process.argv.slice(2)).then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
