# A docker engine pushes and pulls images of several layers, and shows why it may not.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Clients;
use Registry::Images;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(time);

BEGIN { need('docker', 'dockerd') }
plan(skip_all => 'a docker engine needs root') if !is_root();

my $docker = Registry::Clients->docker_engine or skip_or_fail("the docker engine does not start: $@");
my $registry = Registry->start;
my $address  = '127.0.0.1:' . $registry->port;
my $tmp      = tempdir();
my $image    = "$address/team/app:v1";
my $REFUSED  = qr/unauthorized|password|no basic auth/i;

my $id = make_archive("$tmp/image.tar", $image, 110 << 20, 70 << 20, 25 << 20, 1000);
works($docker->run('load', '-i', "$tmp/image.tar"), 'an image of 200 MB in four layers');

subtest 'push and pull' => sub {
    my $push = $docker->run('push', $image);
    works($push, 'push');
    my ($digest) = $push->{out} =~ /digest: (sha256:[0-9a-f]{64})/;
    is_status($registry->head('/v2/team/app/manifests/v1'), 200, 'the digest is the one that docker tells',
        'Docker-Content-Digest' => $digest);
    works($docker->run('rmi', '-f', $image), 'it is removed here');
    my $pull = $docker->run('pull', $image);
    works($pull, 'pull');
    like($pull->{out}, qr/Digest: \Q$digest\E/, 'the same digest');
    is($docker->run('image', 'inspect', '--format', '{{.Id}}', $image)->{out}, "$id\n", 'the same image');
    works($docker->run('pull', "$address/team/app\@$digest"), 'pull by digest');
    my $again = $docker->run('push', $image);
    works($again, 'a second push');
    like($again->{out}, qr/Layer already exists/, '... sends no layer again');
    works($docker->run('tag', $image, "$address/team/copy:v1"), 'a name in another repository');
    my $mount = $docker->run('push', "$address/team/copy:v1");
    works($mount, '... is pushed');
    like($mount->{out}, qr/Mounted from team\/app/, '... by mounting its layers');
    is_tidy($registry);
    my $none = $docker->run('pull', "$address/team/app:none");
    is_refused($none, qr/not found|manifest unknown/i, 'what is not there is not pulled');
};
$registry->stop;

subtest 'passwords' => sub {
    my $closed = Registry->start(args => [ '--user', 'ann:secret' ]);
    my $at     = '127.0.0.1:' . $closed->port;
    my $small  = "$at/team/small:v1";
    make_archive("$tmp/small.tar", $small, 100_000, 50_000);
    works($docker->run('load', '-i', "$tmp/small.tar"), 'a small image');

    my $started = time;
    my $push    = $docker->run('push', $small);
    is_refused($push, $REFUSED, 'push without a password is refused');
    cmp_ok(time - $started, '<', 20, '... without trying again and again');
    my $login = $docker->run('login', '-u', 'ann', '-p', 'wrong', $at);
    is_refused($login, $REFUSED, 'login with a wrong password is refused');
    my $pull = $docker->run('pull', $small);
    is_refused($pull, $REFUSED, 'pull without a password is refused');

    works($docker->run('login', '-u', 'ann', '-p', 'secret', $at), 'login with the right one');
    works($docker->run('push', $small), '... push');
    $docker->run('rmi', '-f', $small);
    works($docker->run('pull', $small), '... pull');
    works($docker->run('logout', $at), 'logout');
    is_refused($docker->run('pull', $small), $REFUSED, '... then pull is refused');
};
$docker->stop;

finish();
