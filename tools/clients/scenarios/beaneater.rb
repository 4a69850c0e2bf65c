require "beaneater"

def check(right)
  raise "not as expected" unless right
end

client = Beaneater.new("#{ARGV[0]}:#{ARGV[1]}")
tube = client.tubes["mail"]
client.tubes.watch!("mail")
id = tube.put("a job", pri: 5, ttr: 30)[:id]
job = tube.reserve(5)
check(job.id == id && job.body == "a job")
job.touch
job.release(pri: 7)
job = tube.reserve(5)
job.bury
check(tube.peek(:buried).id == id)
tube.kick(10)
job = tube.reserve(5)
check(job.stats.kicks == 1)
job.delete
begin
  tube.reserve(0)
  check(false)
rescue Beaneater::TimedOutError
end
check(client.stats.total_jobs == 1)
check(tube.stats.cmd_delete == 1)
check(client.tubes.all.map(&:name).sort == %w[default mail])
tube.pause(1)
client.close
puts Beaneater::VERSION
