# Too few open files: a start with less than the server needs is refused in one line. Beyond its limit it refuses what it
# can't do, in OCI form, and when that is over it works as before, without a restart.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Process;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(sleep time);

my $FEW = qr/Too many open files|Bad file descriptor|upstream|a request failed|job failed/;

sub with_limit ($soft, $hard = $soft) { return [ 'prlimit', "--nofile=$soft:$hard" ] }

subtest 'a start with too few' => sub {
    for my $n (16, 24, 64, 511) {
        my $dir = tempdir() . '/data';
        my $ran = Registry->try([ '--listen', '127.0.0.1', '--port', '0', '--dir', $dir ], prefix => with_limit($n));
        is($ran->{exit}, 1, "$n files: it doesn't start");
        is($ran->{err}, "docker-registry-server: only $n files may be open (ulimit -Hn), and the server needs 512: raise this limit\n", '... and says why in one line');
        ok(!-e $dir, '... before it has made anything');
    }
    my $soft = Registry->start(prefix => with_limit(24, 4096));
    is_status($soft->push_image('a/b', 'v1', [ random_bytes(1000) ]), 201, 'a soft limit that can be raised is raised');
    $soft->stop;
};

# Changes a running process's limit, as the user that it is.
sub limit_files ($pid, $n) {
    my ($user)  = slurp("/proc/$pid/status") =~ /^Uid:\t(\d+)/m;
    my ($group) = slurp("/proc/$pid/status") =~ /^Gid:\t(\d+)/m;
    my @as = $user == $> ? () : ('setpriv', '--reuid', $user, '--regid', $group, '--clear-groups');
    my $ran = run([ @as, 'prlimit', '--pid', $pid, "--nofile=$n:" ]);
    $ran->{exit} == 0 or fail("prlimit $pid: $ran->{err}");
    return;
}

# The least descriptor that a process doesn't have: with this limit it can open nothing.
sub least_free ($pid) {
    my $n = 0;
    $n++ while -l "/proc/$pid/fd/$n";
    return $n;
}

# The answers to pushes and pulls of some clients for a while: how often each status came, and what was wrong with them.
sub load ($registry, $seconds, $holds) {
    my %sum = (wrong => [], status => {});
    my @done = in_parallel(4, $seconds + 60, sub ($i) {
        my %told = (wrong => [], status => {});
        my (@held, @there);
        my $note = sub ($what, $response) {
            my $status = $response->status;
            $told{status}{$status}++;
            return $status if $status =~ /^20/;
            my $is_form = $response->code ne '' || $response->content eq '';    # none in an answer to HEAD
            push @{ $told{wrong} }, "$what: " . $response->describe
                if ($status != 503 && $status != 429) || !$is_form || ($response->header('Retry-After') // '') !~ /^\d+$/;
            return $status;
        };
        my $end = time + $seconds;
        for (my $n = 0; time < $end; $n++) {
            for (1 .. $holds) {
                my $connection = $registry->connect // last;
                $connection->send('GET /v2/ HT');
                push @held, $connection;
            }
            splice @held, 0, @held - 200 if @held > 200;
            my $layer = random_bytes(1000 + 100_000 * ($n % 2));
            my $pushed = $note->('push', $registry->push_image("a/b$i", "t$n", [$layer], way => (qw(patch put post))[ $n % 3 ]));
            push @there, [ "t$n", $layer ] if $pushed == 201;
            my ($tag, $bytes) = @{ $there[-1] // next };
            $note->('tag', $registry->get("/v2/a/b$i/manifests/$tag"));
            my $got = $registry->get("/v2/a/b$i/blobs/" . digest($bytes));
            push @{ $told{wrong} }, 'other bytes' if $note->('blob', $got) == 200 && $got->content ne $bytes;
        }
        $_->close for @held;
        $told{there} = [ map { [ "a/b$i", $_->[0], digest($_->[1]) ] } @there ];
        return \%told;
    });
    for my $told (@done) {
        push @{ $sum{wrong} }, defined $told ? @{ $told->{wrong} } : 'a client died';
        $sum{status}{$_} += $told->{status}{$_} for keys %{ $told->{status} // {} };
        push @{ $sum{there} }, @{ $told->{there} // [] };
    }
    return \%sum;
}

sub is_well_again ($registry, $sum, $name) {
    ok(!@{ $sum->{wrong} }, "$name: what can't be done is refused in good form") or diag(join "\n", splice @{ $sum->{wrong} }, 0, 5);
    note(join ', ', map { "$_: $sum->{status}{$_}" } sort keys %{ $sum->{status} });
    ok(wait_for(20, sub { $registry->get('/healthz')->status == 200 }), '... then it is well');
    my $pushed;
    ok(wait_for(10, sub { $pushed = $registry->push_image('x/y', 'v1', [ random_bytes(100_000) ]); $pushed->status == 201 }), '... can be pushed to')
        or diag($pushed->describe);
    my @lost = grep {
        my ($repository, $tag, $layer) = @$_;
        $registry->get("/v2/$repository/manifests/$tag")->status != 200 || digest($registry->get("/v2/$repository/blobs/$layer")->content) ne $layer
    } @{ $sum->{there} // [] };
    ok(!@lost, '... and has what it acknowledged') or diag(map { "@$_\n" } @lost);
    return;
}

subtest "at the least limit, with more connections than that" => sub {
    my $registry = Registry->start(prefix => with_limit(512), expected => $FEW);
    my $pid      = $registry->pid;
    my $sum      = load($registry, 3, 40);
    is_well_again($registry, $sum, '800 half requests');
    cmp_ok($sum->{status}{201} // 0, '>', 0, '... and pushes went on');
    is($registry->pid, $pid, '... without a restart');
    $registry->stop;
};

subtest 'processes that may open nothing more, for a while' => sub {
    # An upload that nginx refused to go on with is the client's until it expires.
    my $registry = Registry->start(expected => $FEW, args => [ '--gc-interval', '1s', '--lease', '2s', '--upload-expiry', '5s' ]);
    my $pid      = $registry->pid;
    is_status($registry->push_image('a/b', 'v1', [ random_bytes(1000) ]), 201, 'an image');
    for my $kind ('worker api', 'worker bulk', 'worker list', 'keeper', 'herald', 'nginx', 'master') {
        my @pids = $kind eq 'nginx' ? $registry->nginx_workers : $kind eq 'master' ? $pid : $registry->children($kind);
        @pids or fail("there is a $kind"), next;
        limit_files($_, least_free($_) + ($kind eq 'nginx' ? 2 : 0)) for @pids;    # it has to take clients
        my $sum = load($registry, 1, 0);
        limit_files($_, 4096) for grep { alive($_) } @pids;
        is_well_again($registry, $sum, $kind);
        is_deeply([ sort grep { alive($_) } @pids ], [ sort @pids ], '... and no process had to begin again');
    }
    ok($registry->running && $registry->pid == $pid, 'the server was never restarted');
    wait_for(30, sub { !$registry->files('uploads') });
    is_tidy($registry);
    is_sound($registry);
    $registry->stop;
};

finish();
