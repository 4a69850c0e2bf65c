const assert = require("assert");
const { Client } = require("node-beanstalk");

async function main([host, port]) {
  const client = new Client({ host, port: Number(port) });
  await client.connect();
  await client.use("mail");
  await client.watch("mail");
  await client.ignore("default");
  const { id } = await client.put({ to: "\u20ac" }, 30, 5);
  let job = await client.reserveWithTimeout(5);
  assert.deepEqual(job, { id, payload: { to: "\u20ac" } });
  await client.touch(id);
  await client.release(id, 7);
  job = await client.reserve();
  await client.bury(id);
  assert.equal((await client.peekBuried()).id, id);
  assert.equal(await client.kick(10), 1);
  job = await client.reserveJob(id);
  assert.equal((await client.statsJob(id)).kicks, 1);
  await client.delete(id);
  assert.equal(await client.reserveWithTimeout(0), null);
  assert.equal((await client.stats())["total-jobs"], 1);
  assert.equal((await client.statsTube("mail"))["cmd-delete"], 1);
  assert.deepEqual((await client.listTubes()).sort(), ["default", "mail"]);
  assert.equal(await client.listTubeUsed(), "mail");
  await client.pauseTube("mail", 1);
  client.disconnect();
  console.log(require("node-beanstalk/package.json").version);
}

main(process.argv.slice(2)).then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
