# With --database one node leads: its hooks end when it does not lead any more, the next leader runs them again, in order,
# and listeners hear everything on each node. The other node here is a connection that takes the leader's lock.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Listener;
use Registry::Postgresql;
use Registry::Tools;
use JSON::PP qw(decode_json);
use POSIX ();
use Test::More;

skip_or_fail('PostgreSQL 15 is not installed (Debian: postgresql-15)') if !Registry::Postgresql->programs;
skip_or_fail('the program was built without PostgreSQL (Debian: libpq-dev)') if slurp(Registry->program) !~ /kv_gate/;

my $pg   = Registry::Postgresql->start;
my $url  = $pg->database('registry');
my $work = tempdir();
chmod 0777, $work or die "chmod: $!";
spew("$work/runs", '');
chmod 0666, "$work/runs" or die "chmod: $!";
# Each run notes its beginning, and its end if it may go on to that.
spew("$work/hook", <<"END");
#!/bin/sh
echo "begin \$REGISTRY_REPOSITORY:\$REGISTRY_TAG \$\$" >> $work/runs
while [ -e $work/hold ]; do sleep 0.1; done
echo "end \$REGISTRY_REPOSITORY:\$REGISTRY_TAG \$\$" >> $work/runs
END
chmod 0755, "$work/hook" or die "chmod: $!";

my $registry = Registry->start(
    args     => [ '--database', $url, '--on-tag', "$work/hook" ],
    env      => { PGPASSWORD => $pg->password },
    expected => qr/signal 9|signal=9|database|left in connection|aborting|doesn't lead|may not lead/,
);

sub node ()    { return decode_json(Registry->try([ 'stat', '--json', '--dir', $registry->dir, '--database', $url ], env => { PGPASSWORD => $pg->password })->{out})->{nodes}[0] }
sub runs ()    { return split /\n/, slurp("$work/runs") }
sub begun ($tag) { return grep { /^begin a\/b:$tag / } runs() }
sub ended ($tag) { return grep { /^end a\/b:$tag / } runs() }
sub is_alive ($line) { my ($pid) = $line =~ /(\d+)$/; return kill 0, $pid }

my $lock = 'locktype = $$advisory$$ AND classid = 21066 AND granted';
sub end_leader () { return $pg->sql('registry', "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE $lock") }

# Waits for the lock, and has it until it is ended.
sub other_leader () {
    my $pid = fork // die "fork: $!";
    return $pid if $pid != 0;
    POSIX::setpgid(0, 0);
    $pg->sql('registry', 'SELECT pg_advisory_lock(21066, 0); UPDATE kv_node SET leads = (id = $$other$$); COMMIT; SELECT pg_sleep(100)');
    POSIX::_exit(0);
}

sub wait_for_other ($pid) { return wait_for(20, sub { $pg->sql('registry', 'SELECT 1 FROM pg_locks WHERE classid = 21066 AND NOT granted')->{out} =~ /1/ }) }

is_status($registry->push_image('a/b', 'v0', [ random_bytes(100) ]), 201, 'an image is pushed');
ok(wait_for(20, sub { ended('v0') }), 'its hook runs');
ok(wait_for(20, sub { (node() // {})->{leads} }), 'the only node leads');
like($registry->get('/metrics')->content, qr/^registry_node_leads 1$/m, '/metrics says so, too');

subtest 'somebody asks for the index of a layer that is gone' => sub {
    my $asked = sub { return $pg->sql('registry', 'SELECT count(*) FROM job WHERE get_byte(k, 0) = 3')->{out} + 0 };
    my $key   = '03' . '00' x 8 . '01' . 'ab' x 32;
    works($pg->sql('registry', qq(INSERT INTO job (k, v) SELECT decode('$key', 'hex'), v FROM job LIMIT 1)), 'a demand');
    is($asked->(), 1, '... is there');
    is_status($registry->push_image('other', 'v1', [ random_bytes(100) ]), 201, 'the keeper looks for work');
    ok(wait_for(20, sub { !grep { $asked->() } 1 .. 10 }), '... and is given up, once and for all');
};

subtest 'a keeper dies' => sub {
    spew("$work/hold", '');
    is_status($registry->push_image('a/b', 'v1', [ random_bytes(100) ]), 201, 'a tag');
    ok(wait_for(20, sub { begun('v1') }), 'its hook begins');
    kill 'KILL', $registry->children('keeper');
    ok(wait_for(20, sub { $registry->logged(qr/this node leads/) >= 2 }), 'the next keeper leads');
    ok(is_alive((begun('v1'))[0]), 'the hook goes on');
    unlink "$work/hold";
    ok(wait_for(20, sub { ended('v1') }), '... to its end');
};

subtest 'another node leads' => sub {
    spew("$work/hold", '');
    is_status($registry->push_image('a/b', 'v2', [ random_bytes(100) ]), 201, 'a tag');
    ok(wait_for(20, sub { begun('v2') }), 'its hook begins');
    works($pg->sql('registry', q(INSERT INTO kv_node (number, id, run, host, address, version, beat, skew_ms, is_stopped) VALUES (9, 'other', 'other', 'elsewhere', '', '0', now(), 0, false))), 'there is another node');
    my $pid = other_leader();
    ok(wait_for_other($pid), 'another one waits for the lock');
    end_leader();
    ok(wait_for(20, sub { $registry->logged(qr/this node doesn't lead any more/) }), 'a leader whose connection is lost notices');
    ok(wait_for(20, sub { $registry->logged(qr/this node follows/) }), '... and follows');
    ok(wait_for(20, sub { !is_alive((begun('v2'))[0]) }), '... and its hook ends');
    unlink "$work/hold";
    is(scalar(ended('v2')), 0, '... before its own end');
    ok(wait_for(20, sub { !node()->{leads} }), 'stat shows it');
    ok(wait_for(20, sub { $registry->get('/metrics')->content =~ /^registry_node_leads 0$/m }), '/metrics, too');
    ok(wait_for(20, sub { $registry->get('/readyz')->status == 200 }), 'a node that follows is ready');

    my $listener = Registry::Listener->open($registry, query => '?type=tag');
    ok($listener->wait(10, sub ($l) { $l->status == 200 }), 'somebody listens here');
    is_status($registry->push_image('a/b', $_, [ random_bytes(100) ]), 201, "tag $_ is pushed") for 'v3', 'v4';
    ok($listener->wait(20, sub ($l) { $l->events >= 2 }), 'the listener hears of them') or diag($listener->body);
    is(scalar(begun($_)), 0, "no hook for $_ runs here") for 'v3', 'v4';
    unlike($registry->output, qr/"tag":"v[34]"|b:v[34]/, 'and no line is printed here');

    kill 'KILL', -$pid;
    waitpid $pid, 0;
    $pg->sql('registry', "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE $lock");
    ok(wait_for(20, sub { $registry->logged(qr/this node leads.*wait_ms=(?:1[5-9]\d{3}|20000)/) }), 'when that one ends, this node leads, and waits before it runs hooks')
        or diag(join "\n", $registry->logged(qr/leads|follows/), $pg->sql('registry', 'SELECT * FROM kv_node')->{out});
    is(scalar(begun('v2')), 1, '... which may still run elsewhere');
    ok(wait_for(40, sub { ended('v4') }), 'then they run');
    is_deeply([ map { s/ \d+$//r } grep { /v[234]/ } runs() ],
        [ 'begin a/b:v2', map { ("begin a/b:$_", "end a/b:$_") } 'v2', 'v3', 'v4' ], '... in order, the one that was ended once more');
    ok(wait_for(20, sub { (() = $registry->output =~ /b:v[34]/g) >= 2 }), '... and the lines are printed') or diag($registry->output);
};
finish();
