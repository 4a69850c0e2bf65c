<?php
// Symfony's bridge: a message is sent with a delay, received, rejected, sent again and acknowledged.
require 'Symfony/Component/Messenger/Bridge/Beanstalkd/autoload.php';
use Symfony\Component\Messenger\Bridge\Beanstalkd\Transport\BeanstalkdTransportFactory;
use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\Stamp\DelayStamp;
use Symfony\Component\Messenger\Transport\Serialization\PhpSerializer;

class Mail
{
    public $to = "\u{20ac}";
}

function check(bool $right): void
{
    if (!$right) {
        throw new Exception('not as expected');
    }
}

$factory = new BeanstalkdTransportFactory();
$dsn = "beanstalkd://$argv[1]:$argv[2]?tube_name=mail&timeout=4&ttr=30";
check($factory->supports($dsn, []));
$transport = $factory->createTransport($dsn, [], new PhpSerializer());
$transport->send(new Envelope(new Mail()));
[$envelope] = [...$transport->get()];
check($envelope->getMessage()->to === "\u{20ac}");
$transport->reject($envelope);
$transport->send(new Envelope(new Mail(), [new DelayStamp(1000)]));
check($transport->getMessageCount() === 0);
[$envelope] = [...$transport->get()];
$transport->ack($envelope);
check($transport->getMessageCount() === 0);
echo exec("dpkg-query -W -f '\${Version}' php-symfony-beanstalkd-messenger"), "\n";
