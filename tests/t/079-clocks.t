# Two servers of one database whose clocks differ: what one of them has promised to keep, the other one, which leads and is
# ahead, doesn't collect. And when the leader's clock is set, it doesn't lead any more before it has collected anything.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Postgresql;
use Registry::Shim;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(sleep);

skip_or_fail('PostgreSQL 15 is not installed (Debian: postgresql-15)') if !Registry::Postgresql->programs;
skip_or_fail('the program was built without PostgreSQL (Debian: libpq-dev)') if slurp(Registry->program) !~ /kv_gate/;

my $pg    = Registry::Postgresql->start;
my $url   = $pg->database('registry');
my $shim  = Registry::Shim->new;
my $blobs = tempdir() . '/blobs';
mkdir $blobs or die "mkdir: $!";
if (is_root()) { chown((getpwnam 'www-data')[ 2, 3 ], $blobs) or die "chown: $!" }

sub start_node ($lease, %env) {
    my $port = free_port();
    return Registry->start(
        env      => { PGPASSWORD => $pg->password, %env },
        expected => qr/doesn't lead any more|process died|stopped the process/,
        listen   => [ '--listen', '127.0.0.1', '--port', $port ],
        args     => [ '--database', $url, '--blobs', $blobs, '--node-address', "127.0.0.1:$port", '--lease', $lease, '--gc-interval', '1s' ],
    );
}
sub leader () { return $pg->sql('registry', 'SELECT number FROM kv_node WHERE leads')->{out} =~ s/\n//r }

$shim->clock(25);
my $ahead = start_node('20s', %{ $shim->env });
ok(wait_for(20, sub { leader() eq '1' }), 'a node whose clock is 25 s ahead leads');
my $right = start_node('20s');
ok(wait_for(20, sub { $pg->sql('registry', q(SELECT count(*) FROM kv_node WHERE abs(skew_ms - 25000) < 3000 OR abs(skew_ms) < 3000))->{out} eq "2\n" }), '... of two');
ok(wait_for(20, sub { $ahead->get('/metrics')->content =~ /^registry_node_clock_skew_seconds\{node="2"/m }), '... and knows of the other one');
sleep 4;

my $layer    = random_bytes(1000);
my $config   = '{}';
is_status($right->push_blob('a/b', $_), 201, 'a blob is pushed to the other one') for $config, $layer;
sleep 10;
is_status($right->get('/v2/a/b/blobs/' . digest($layer)), 200, 'after half of its lease it is there');
is_status($right->push_image('a/b', 'v1', [$layer]), 201, '... and a manifest can name it');
my $garbage = random_bytes(1000);
is_status($right->push_blob('a/b', $garbage), 201, 'another blob');
ok(wait_for(60, sub { $right->get('/v2/a/b/blobs/' . digest($garbage))->status == 404 }), '... is collected later');
$_->stop for $right, $ahead;

$shim->clock(0);
my $first = start_node('1h', %{ $shim->env });
ok(wait_for(40, sub { leader() eq '3' }), 'a new node leads');
my $second = start_node('1h');
ok(wait_for(20, sub { $first->get('/metrics')->content =~ /^registry_node_heartbeat_timestamp_seconds\{node="4"/m }), '... of two');
my @blobs = map { random_bytes(1000) } 1 .. 20;
is_status($second->push_blob('a/b', $_), 201, 'a blob with a lease of an hour') for @blobs;
$shim->clock(7200);
ok(wait_for(30, sub { leader() eq '4' }), 'its clock is set: the other node leads');
is(scalar(grep { $second->get('/v2/a/b/blobs/' . digest($_))->status != 200 } @blobs), 0, '... and no blob is lost');
is($first->push_blob('a/b', random_bytes(10))->status, 503, '... and the first takes no push');
finish();
