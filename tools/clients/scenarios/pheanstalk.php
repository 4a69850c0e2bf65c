<?php
require 'Pheanstalk/autoload.php';
use Pheanstalk\Pheanstalk;

function check(bool $right): void
{
    if (!$right) {
        throw new Exception('not as expected');
    }
}

$body = "\x00\xff\r\n\u{20ac}";
$client = Pheanstalk::create($argv[1], (int) $argv[2]);
$client->useTube('mail')->watchOnly('mail');
$id = $client->put($body, 5, 0, 30)->getId();
$job = $client->reserveWithTimeout(5);
check($job->getId() === $id && $job->getData() === $body);
$client->touch($job);
$client->release($job, 7, 0);
$job = $client->reserveWithTimeout(5);
$client->bury($job, 9);
check($client->peekBuried()->getId() === $id);
check($client->kick(10) === 1);
$job = $client->reserve();
check((int) $client->statsJob($job)['kicks'] === 1);
$client->delete($job);
$later = $client->put('later', 5, 1000, 30);
check($client->peekDelayed()->getId() === $later->getId());
$client->kickJob($later);
check($client->peekReady()->getData() === 'later');
$client->delete($later);
check($client->reserveWithTimeout(0) === null);
check((int) $client->stats()['total-jobs'] === 2);
check((int) $client->statsTube('mail')['cmd-delete'] === 2);
$client->pauseTube('mail', 100);
$client->resumeTube('mail');
check($client->listTubeUsed(true) === 'mail');
check($client->listTubesWatched(true) === ['mail']);
echo exec("dpkg-query -W -f '\${Version}' php-pda-pheanstalk"), "\n";
