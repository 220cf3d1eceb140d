# nginx has as many workers as there are processors, and eight at least; limits count over all of them.
use v5.36;
use Registry limit => 90;
use Registry::Checks;
use Registry::Tools;
use List::Util qw(max);
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

finish();
