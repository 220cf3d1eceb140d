# With --database a server is a node: stat, /metrics and /readyz show it, and a second server without --node-address is refused while it lives.
use v5.36;
use Registry limit => 200;
use Registry::Checks;
use Registry::Postgresql;
use Registry::Tools;
use JSON::PP qw(decode_json);
use Test::More;

skip_or_fail('PostgreSQL 15 is not installed (Debian: postgresql-15)') if !Registry::Postgresql->programs;
skip_or_fail('the program was built without PostgreSQL (Debian: libpq-dev)') if slurp(Registry->program) !~ /kv_gate/;

my $pg    = Registry::Postgresql->start;
my $url   = $pg->database('registry');
my %how   = (env => { PGPASSWORD => $pg->password }, expected => qr/signal 9|signal=9|left in connection|aborting|database/);
my $blobs = tempdir() . '/blobs';
mkdir $blobs or die "mkdir: $!";
if (is_root()) { chown((getpwnam 'www-data')[ 2, 3 ], $blobs) or die "chown: $!" }
my @options = ('--database', $url, '--blobs', $blobs);

sub command ($dir, @words) { return Registry->try([ @words, '--dir', $dir, @options ], env => $how{env}, timeout => 60) }
sub nodes ($dir) { return decode_json(command($dir, 'stat', '--json')->{out})->{nodes} // [] }

my $first = Registry->start(%how, args => \@options);
my $dir   = $first->dir;

subtest 'a node is shown' => sub {
    my $nodes;
    ok(wait_for(30, sub { @{ $nodes = nodes($dir) } }), 'stat --json has it');
    is(scalar(@$nodes), 1, '... once');
    my %node = %{ $nodes->[0] };
    is($node{node}, 1, 'its number');
    ok($node{self}, '... it is this one');
    is($node{state}, 'alive', '... it lives');
    is($node{host}, `uname -n` =~ s/\n//r, '... its host');
    cmp_ok(abs($node{clock_skew_ms}), '<', 5000, '... its clock');
    like($node{heartbeat}, qr/^\d{4}-\d\d-\d\dT[\d:.]+Z$/, '... its heartbeat');
    my $screen;
    ok(wait_for(30, sub { ($screen = command($dir, 'stat')->{out}) =~ /leads/ }), 'it leads');
    like($screen, qr/^  1 leads \(this one\) +\d+ s ago +[-+]\d+\.\d s  \Q$node{host}\E$/m, 'the screen of stat has it');
    my $metrics = $first->get('/metrics')->content;
    like($metrics, qr/^registry_node_heartbeat_timestamp_seconds\{node="1",host="\Q$node{host}\E"\} \d+\.\d+$/m, '/metrics has its heartbeat');
    like($metrics, qr/^registry_node_clock_skew_seconds\{node="1",host="\Q$node{host}\E"\} \d+\.\d+$/m, '... and its clock');
    ok(wait_for(30, sub { (nodes($dir)->[0]{heartbeat} // '') gt $node{heartbeat} }), 'the heart goes on beating');
    ok(wait_for(30, sub { $first->get('/readyz')->status == 200 }), '/readyz: all is well');
};

my $other = tempdir() . '/other';

subtest 'a second server is refused' => sub {
    my $ran = Registry->try([ '--listen', '127.0.0.1', '--port', '0', '--dir', $other, @options ], env => $how{env}, timeout => 60);
    is($ran->{exit}, 1, 'while the first one lives');
    like($ran->{err}, qr/works with this database, and this one has no --node-address/, '... and the line says why');
    $ran = command($other, 'gc');
    is($ran->{exit}, 1, 'so is a command without a server');
    like($ran->{err}, qr/run this there/, '... and the line says where to run it');
    is_deeply([ map { $_->{node} } @{ nodes($dir) } ], [1], 'the refused server is no node');
};

subtest 'what is wrong with a node' => sub {
    # A clock of the database's that is ahead: all servers see this one instead of PostgreSQL's own.
    $pg->sql('registry', 'CREATE SCHEMA ahead; CREATE FUNCTION ahead.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS '
        . q($$ SELECT pg_catalog.clock_timestamp() + interval '45 s' $$; ALTER DATABASE registry SET search_path = ahead, pg_catalog, public));
    my $end_all = q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'registry' AND pid <> pg_backend_pid());
    $pg->sql('registry', $end_all);
    ok(wait_for(30, sub { $first->get('/readyz')->content =~ /the clock of this machine is 4\d s behind the database's/ }), '/readyz tells of a wrong clock');
    is($first->get('/readyz')->status, 503, '... with 503');
    $pg->sql('registry', 'ALTER DATABASE registry RESET search_path');
    $pg->sql('registry', $end_all);
    ok(wait_for(30, sub { $first->get('/readyz')->status == 200 }), '... until it is right again');
    $pg->sql('registry', q(UPDATE kv_node SET run = 'another'));
    kill 'KILL', $first->children('keeper'); # the next one doesn't know its node, and lives
    ok(wait_for(30, sub { $first->get('/readyz')->content =~ /another server has taken this node's place/ }), '... and of a copy that runs elsewhere');
};

subtest 'one after the other' => sub {
    $first->crash;
    $first = Registry->start(%how, dir => $dir, args => \@options);
    ok(wait_for(30, sub { @{ nodes($dir) } }), 'after kill -9 the same node starts at once');
    is(nodes($dir)->[0]{node}, 1, '... with its number');
    $first->stop;
    is(nodes($dir)->[0]{state}, 'stopped', 'stat without a server shows a node that was stopped');
    my $second = Registry->start(%how, dir => $other, args => \@options);
    ok(wait_for(30, sub { @{ nodes($other) } == 2 }), 'then another one starts');
    is_deeply([ map { "$_->{node} $_->{state}" . ($_->{self} ? ' self' : '') } @{ nodes($other) } ], [ '1 stopped', '2 alive self' ], '... with a number of its own');
    $second->stop;
};
finish();
