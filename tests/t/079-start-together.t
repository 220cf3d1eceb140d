# Two servers that start at the same moment with a new database and an empty directory of blobs: both come up, with one
# number of the registry and one key of tokens, and each knows what was pushed to the other.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Postgresql;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(sleep);

skip_or_fail('PostgreSQL 15 is not installed (Debian: postgresql-15)') if !Registry::Postgresql->programs;
skip_or_fail('the program was built without PostgreSQL (Debian: libpq-dev)') if slurp(Registry->program) !~ /kv_gate/;

my $pg = Registry::Postgresql->start;

# The first server that gives the registry a number waits before it does, and the first one that has given it waits before it
# notes that. So each of them is overtaken by the other.
sub slow_database ($name) {
    my $url = $pg->database($name);
    $pg->sql($name, <<'SQL');
CREATE TABLE meta (k bytea PRIMARY KEY, v bytea NOT NULL);
CREATE SEQUENCE wants;
CREATE SEQUENCE notes;
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF encode(NEW.k, 'escape') LIKE 'blobs-id-wanted%' AND nextval('wants') = 1 THEN PERFORM pg_sleep(2); END IF;
    IF encode(NEW.k, 'escape') LIKE 'blobs-id%' AND encode(NEW.k, 'escape') NOT LIKE '%wanted%' AND nextval('notes') = 1 THEN PERFORM pg_sleep(4); END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER slow BEFORE INSERT ON meta FOR EACH ROW EXECUTE FUNCTION slow();
SQL
    return $url;
}

for my $round (1 .. 2) {
    my $url   = slow_database("r$round");
    my $blobs = tempdir() . '/blobs';
    mkdir $blobs or die "mkdir: $!";
    if (is_root()) { chown((getpwnam 'www-data')[ 2, 3 ], $blobs) or die "chown: $!" }
    my $start = sub (%o) {
        my $port = free_port();
        my $node = Registry->start(
            env      => { PGPASSWORD => $pg->password },
            expected => qr/recovery|in doubt|database/,
            listen   => [ '--listen', '127.0.0.1', '--port', $port ],
            user     => 'ann:secret',
            args     => [ '--database', $url, '--blobs', $blobs, '--node-address', "127.0.0.1:$port", '--user', 'ann:secret', '--quota', '** 1G' ],
            %o,
        );
        $node->{port} = $port;
        return $node;
    };
    my @nodes = map { $start->(listeners => 0) } 1 .. 2;
    my $are_up = wait_for(40, sub { 2 == grep { $_->output =~ /^Server is listening on /m } @nodes });
    ok($are_up, "round $round: both are up") or diag(map { $_->log } @nodes);
    last if !$are_up;
    my @layers = map { random_bytes(1000 + $_) } 0 .. 1;
    is_status($nodes[$_]->push_image('a/b', "v$_", [ $layers[$_] ]), 201, "... and node $_ takes a push") for 0 .. 1;
    is_blob($nodes[ 1 - $_ ], 'a/b', $layers[$_], '... which the other one has') for 0 .. 1;
    is($pg->sql("r$round", q(SELECT count(*), count(DISTINCT number) FROM kv_node))->{out}, "2|2\n", '... two nodes have two numbers');
    is($pg->sql("r$round", q(SELECT count(*) FROM quota))->{out}, "1\n", '... the quota is there once');
    ok(wait_for(20, sub { slurp($nodes[0]->dir . '/auth/token.key') eq slurp($nodes[1]->dir . '/auth/token.key') }), '... and both have one key of tokens');
    $_->stop for @nodes;
    my $again = $start->(dir => $nodes[0]->dir);
    is_blob($again, 'a/b', $layers[1], '... and they start again');
    $again->stop;
}
finish();
