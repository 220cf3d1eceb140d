# The service manager hears when the registry is ready, reloads, stops, and that it lives.
use v5.36;
use IO::Socket::UNIX ();
use Registry limit => 90;
use Registry::Checks;
use Registry::Tools;
use Socket qw(SOCK_DGRAM);
use Test::More;
use Time::HiRes qw(CLOCK_MONOTONIC clock_gettime);

my $nginx = find_program('nginx') or skip_or_fail('nginx is not installed');

# A manager is a process that appends each message to a file, as a line; its other lines are put together by "; ". Once
# a message holds $awaited, it makes the file "go".
sub manager ($address, $tmp, $awaited = undef) {
    my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $address) or die "socket: $!";
    chmod 0666, $address if $address !~ /^\0/;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open my $out, '>>', "$tmp/messages" or POSIX::_exit(1);
        $out->autoflush(1);
        while (defined $socket->recv(my $message, 4096)) {
            print $out join('; ', split /\n/, $message), "\n";
            spew("$tmp/go", '') if defined $awaited && index($message, $awaited) >= 0;
        }
        POSIX::_exit(0);
    }
    return $pid;
}
sub messages ($tmp, $pattern) { return grep { $_ =~ $pattern } split /\n/, -e "$tmp/messages" ? slurp("$tmp/messages") : '' }
sub dismiss ($pid) { kill 'KILL', $pid; waitpid $pid, 0; return }

subtest 'a service from start to stop' => sub {
    my $tmp     = tempdir();
    my $manager = manager("$tmp/notify", $tmp, 'EXTEND_TIMEOUT_USEC');
    # nginx is slow today: it waits until the manager knows of the start.
    mkdir "$tmp/bin";
    spew("$tmp/bin/nginx", "#!/bin/sh\nwhile ! [ -e $tmp/go ]; do sleep 0.05; done\nexec $nginx \"\$@\"\n");
    chmod 0755, "$tmp/bin/nginx";
    my $registry = Registry->start(env => { NOTIFY_SOCKET => "$tmp/notify", WATCHDOG_USEC => 400_000, PATH => "$tmp/bin:$ENV{PATH}" });
    ok(wait_for(10, sub { messages($tmp, qr/^READY=1; STATUS=\w/) == 1 }), 'it is ready');
    my @all = messages($tmp, qr/./);
    like($all[0], qr/^EXTEND_TIMEOUT_USEC=\d{8,}; STATUS=Starting$/, '... and was not before nginx was');
    is_status($registry->get('/healthz'), 200, '... so it answers');
    ok(wait_for(10, sub { messages($tmp, qr/^WATCHDOG=1$/) >= 5 }), 'it gives signs of life');

    my $now = clock_gettime(CLOCK_MONOTONIC) * 1e6;
    kill 'HUP', $registry->pid;
    ok(wait_for(10, sub { messages($tmp, qr/^READY=1/) == 2 }), 'SIGHUP: ready again');
    my ($reloading) = messages($tmp, qr/^RELOADING=1/);
    like($reloading, qr/^RELOADING=1; MONOTONIC_USEC=\d+; STATUS=/, '... after it said that it reloads');
    cmp_ok(($reloading =~ /MONOTONIC_USEC=(\d+)/)[0], '>=', int $now, '... at a time that is not before the signal');
    is(join(' ', map { /^(\w+)/ } messages($tmp, qr/^R/)), 'READY RELOADING READY', '... in this order');

    mkdir $registry->dir . '/hooks';
    spew($registry->dir . '/hooks/tag', "#!/bin/sh\nenv >$tmp/hook.new; mv $tmp/hook.new $tmp/hook\n");
    chmod 0755, $registry->dir . '/hooks/tag';
    chmod 0777, $tmp;
    is_status($registry->push_image('team/app', 'v1', [ random_bytes(1000) ]), 201, 'a push');
    ok(wait_for(20, sub { -e "$tmp/hook" }), '... has a hook');
    my $environment = -e "$tmp/hook" ? slurp("$tmp/hook") : '';
    like($environment, qr/^PATH=/m, '... with the environment of the server');
    unlike($environment, qr/^(NOTIFY_SOCKET|WATCHDOG_\w+)=/m, '... but it cannot speak for the service');

    is(scalar messages($tmp, qr/^STOPPING=1/), 0, 'it did not stop');
    $registry->stop;
    ok(wait_for(10, sub { messages($tmp, qr/^STOPPING=1; STATUS=Stopping$/) == 1 }), '... until it was told to');
    is_deeply([ messages($tmp, qr/^(?!(READY=1|RELOADING=1|STOPPING=1|EXTEND_TIMEOUT_USEC=\d+|WATCHDOG=1)(; |$))/) ], [], 'nothing else was said');
    dismiss($manager);
};

subtest 'other managers' => sub {
    my $tmp  = tempdir();
    my $name = "registry-test-$$";
    my $manager = manager("\0$name", $tmp);
    my $registry = Registry->start(env => { NOTIFY_SOCKET => "\@$name", WATCHDOG_USEC => 10_000, WATCHDOG_PID => 1 });
    ok(wait_for(10, sub { messages($tmp, qr/^READY=1/) == 1 }), 'a socket without a file');
    $registry->stop;
    ok(wait_for(10, sub { messages($tmp, qr/^STOPPING=1/) == 1 }), '... hears the end, too');
    is_deeply([ messages($tmp, qr/^WATCHDOG/) ], [], 'a watchdog of another process needs no sign');
    dismiss($manager);

    $registry = Registry->start(env => { NOTIFY_SOCKET => "$tmp/nobody" });
    is_status($registry->get('/healthz'), 200, 'a manager that is gone does no harm');
    $registry = Registry->start(env => { NOTIFY_SOCKET => 'vsock:2:1' });
    is(scalar $registry->logged(qr/level=warn .*service manager.* NOTIFY_SOCKET=vsock:2:1/), 1, 'an address of an unknown kind is logged');
    is_status($registry->get('/healthz'), 200, '... and does no harm');
};
finish();
