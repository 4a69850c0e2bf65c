const assert = require("assert");
const Beanstalkd = require("beanstalkd").default;

async function main([host, port]) {
  const client = await new Beanstalkd(host, Number(port)).connect();
  await client.use("mail");
  await client.watch("mail");
  const id = await client.put(5, 0, 30, "a job");
  let [job, body] = await client.reserveWithTimeout(5);
  assert.equal(job, id);
  assert.equal(body.toString(), "a job");
  await client.touch(job);
  await client.release(job, 7, 0);
  [job] = await client.reserve();
  await client.bury(job, 9);
  assert.equal((await client.peekBuried())[0], id);
  await client.kickJob(id); // it has no kick
  [job] = await client.reserve();
  assert.equal((await client.statsJob(job)).kicks, 1);
  await client.delete(job);
  await assert.rejects(client.reserveWithTimeout(0));
  assert.equal((await client.stats())["total-jobs"], 1);
  assert.equal((await client.statsTube("mail"))["cmd-delete"], 1);
  assert.deepEqual([...(await client.listTubes())].sort(), ["default", "mail"]);
  await client.quit();
  console.log(require("beanstalkd/package.json").version);
}

main(process.argv.slice(2)).then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
