# nginx has as many workers as there are processors, and eight at least; limits count over all of them.
use v5.36;
use Registry limit => 90;
use Registry::Checks;
use Registry::Tools;
use IO::Socket::INET ();
use List::Util qw(max);
use POSIX ();
use Test::More;

my $HELD       = 6;
my $processors = `getconf _NPROCESSORS_ONLN` + 0;
my $registry   = Registry->start(args => [ '--max-connections-per-address', $HELD ]);

sub all_workers ($of) {
    my $wanted = max(8, $processors);
    return wait_for(10, sub { $wanted == $of->nginx_workers });
}
ok(all_workers($registry), "$processors processors: the right number of workers");

subtest 'a limit of an address is the same in all of them' => sub {
    my @held = map { $registry->hold(PUT => '/v2/a/manifests/x') } 1 .. $HELD;
    my %statuses;
    $statuses{ $registry->get('/v2/')->status }++ for 1 .. 40;    # each in a new connection
    is_deeply(\%statuses, { 429 => 40 }, "beside $HELD requests, forty more are refused");
    $_->close for @held;
    ok(wait_for(20, sub { $registry->get('/v2/')->status == 200 }), 'when they have ended, there is room');
};

subtest 'a low limit of open files' => sub {
    my $small = Registry->start(prefix => [ 'prlimit', '--nofile=600:600' ]);
    ok(all_workers($small), 'as many workers');
    my ($connections) = slurp($small->dir . '/run/nginx.conf') =~ /worker_connections (\d+);/;
    cmp_ok($connections, '<=', 600, '... with no more connections than files');
    my @held = map { my $c = $small->connect // die "no connection\n"; $c->send("GET /v2/ HT"); $c } 1 .. 800;
    my %statuses;
    $statuses{ $small->get('/v2/')->status }++ for 1 .. 40;
    is_deeply(\%statuses, { 200 => 40 }, '... and 800 connections that send nothing keep nobody away');
    is_status($small->push_image('a/b', 'v1', [ random_bytes(300_000) ]), 201, '... nor from pushing');
    $_->close for @held;
};

# Begins $n requests, and goes on with none of them. Returns the process that holds them, and a pipe that tells when all
# have begun.
sub hold_half ($of, $n, $address) {
    pipe my $read, my $write or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        my @held = map {
            my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $of->port, LocalAddr => $address);
            syswrite $c, 'GET /v2/ HT' if $c;
            $c // ();
        } 1 .. $n;
        syswrite $write, scalar(@held) . "\n";
        sleep 60;
        POSIX::_exit(0);
    }
    return ($pid, $read);
}

subtest 'eight thousand half requests' => sub {
    my $large = Registry->start;
    plan skip_all => 'few files may be open' if slurp('/proc/' . $large->pid . '/limits') !~ /^Max open files +\d+ +(\d+)/m || $1 < 20_000;
    my @held = map { [ hold_half($large, 940, "127.0.0.$_") ] } 2 .. 10;
    my $n    = 0;
    $n += readline $_->[1] for @held;
    cmp_ok($n, '>', 8400, "$n are held");
    my %statuses;
    $statuses{ $large->get('/healthz')->status }++ for 1 .. 40;
    is_deeply(\%statuses, { 200 => 40 }, '... and keep nobody away');
    is_status($large->push_image('a/b', 'v1', [ random_bytes(300_000) ]), 201, '... nor from pushing');
    is_status($large->get('/v2/a/b/manifests/v1'), 200, '... nor from pulling');
    kill 'KILL', map { $_->[0] } @held;
    waitpid $_->[0], 0 for @held;
    $large->stop;
};

finish();
