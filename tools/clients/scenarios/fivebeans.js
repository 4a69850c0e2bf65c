const assert = require("assert");
const fivebeans = require("fivebeans");

async function main([host, port]) {
  const client = new fivebeans.client(host, Number(port));
  await new Promise((connected, failed) =>
    client.on("connect", connected).on("error", failed).connect());
  const call = (name, ...values) =>
    new Promise((done, failed) =>
      client[name](...values, (error, ...found) => (error ? failed(error) : done(found))));
  await call("use", "mail");
  await call("watch", "mail");
  const [id] = await call("put", 5, 0, 30, "a job");
  let [job, body] = await call("reserve_with_timeout", 5);
  assert.equal(job, id);
  assert.equal(body.toString(), "a job");
  await call("touch", job);
  await call("release", job, 7, 0);
  [job] = await call("reserve");
  await call("bury", job, 9);
  assert.equal((await call("peek_buried"))[0], id);
  assert.equal((await call("kick", 10))[0], 1);
  [job] = await call("reserve");
  assert.equal((await call("stats_job", job))[0].kicks, 1);
  await call("destroy", job);
  await assert.rejects(call("reserve_with_timeout", 0), (error) => error === "TIMED_OUT");
  assert.equal((await call("stats"))[0]["total-jobs"], 1);
  assert.equal((await call("stats_tube", "mail"))[0]["cmd-delete"], 1);
  assert.deepEqual((await call("list_tubes"))[0].sort(), ["default", "mail"]);
  await call("pause_tube", "mail", 1);
  client.end();
  console.log(require("fivebeans/package.json").version);
}

main(process.argv.slice(2)).then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
