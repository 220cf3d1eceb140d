# contrib/cluster starts two nodes, whose PostgreSQL has a standby below Patroni. When the one that takes writes dies under
# load, the other takes over, and so does the other node. Nothing that was acknowledged is lost, and all goes on by itself.
# REGISTRY_TEST_BLOBS=s3: with the blobs in Swift, which dies, too.
use v5.36;
use Cwd qw(abs_path);
use FindBin qw($Bin);
use IO::Socket::INET ();
use Registry limit => 300;
use Registry::Checks;
use Registry::Postgresql;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(sleep time);

for my $needed (qw(etcd patroni)) {
    skip_or_fail("there is no $needed (Debian: etcd-server, patroni, python3-etcd)") if !find_program($needed);
}
skip_or_fail('PostgreSQL 15 is not installed (Debian: postgresql-15)') if !Registry::Postgresql->programs;
skip_or_fail('the program was built without PostgreSQL (Debian: libpq-dev)') if slurp(Registry->program) !~ /kv_gate/;

my $blobs   = $ENV{REGISTRY_TEST_BLOBS} // 'directory';
my $parts   = $blobs eq 's3' ? 11 : 6;
my $dir     = tempdir() . '/cluster';
my $port    = free_ports(50);
my $script  = abs_path("$Bin/../../contrib/cluster");
my $started = cluster('start');
is($started->{exit}, 0, 'contrib/cluster starts all') or BAIL_OUT("$started->{out}$started->{err}");
is_deeply([ sort(values %{ parts() }) ], [ ('runs') x ($parts - 1), 'runs, and takes writes' ], '... and says so');
my $registry = Registry::Client->new(port => $port);
is_status($registry->get('/readyz'), 200, '... and the registry is ready');
like(run([ 'sh', '-c', 'cd "$1" && contrib/cluster frobnicate "$2"', 'sh', abs_path("$Bin/../.."), $dir ])->{err}, qr/^\s+status DIR/m, 'a wrong command is told the right ones');

# The first of so many ports that nobody listens on.
sub free_ports ($n) {
    for (1 .. 1000) {
        my $first = 10_000 + int rand 20_000;
        return $first if !grep { !IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $_, Listen => 1) } $first .. $first + $n - 1;
    }
    die 'no free ports';
}

sub cluster ($command, @part) {
    return run([ $script, $command, $dir, @part ], env => { PORT => $port, BLOBS => $blobs, PROGRAM => Registry->program }, timeout => 150);
}

# What runs, by name.
sub parts () { return { map { /^([\w-]+) (.*)/ ? ($1 => $2) : () } split /\n/, cluster('status')->{out} } }

sub primary () {
    my $parts = parts();
    return (grep { $parts->{$_} =~ /takes writes/ } keys %$parts)[0];
}

# Pushes until the file is there. Returns the tags that were acknowledged, how others were refused, and the longest time
# between two that were acknowledged.
sub push_until ($number, $until) {
    my (@tags, %refused);
    my ($last, $gap) = (time, 0);
    for (my $i = 0; !-e $until; $i++) {
        my $status = $registry->push_image("r$number", "$$-$i", [ random_bytes(2000) ])->status;
        if ($status != 201) { $refused{$status}++; sleep 0.2; next }
        push @tags, "$$-$i";
        $gap  = time - $last if time - $last > $gap;
        $last = time;
    }
    return { tags => \@tags, refused => \%refused, gap => $gap };
}

sub under_load ($name, $work) {
    my $until = tempdir() . '/over';
    my ($worker, @told) = in_parallel(4, 200, sub ($i) {
        return push_until($i, $until) if $i > 0;
        sleep 1;
        my $came = eval { $work->() };
        sleep 1;
        spew($until, '');
        return $came;
    });
    ok($worker, "$name: it goes on by itself");
    my %refused = map { map { $_ => 1 } keys %{ $_->{refused} } } @told;
    # 404: an upload that nobody was promised to keep has gone, and the client begins anew. 599: no answer in time. 502:
    # the front had sent the request to a node that died.
    is_deeply([ grep { $_ != 503 && $_ != 404 && $_ != 599 && $_ != 502 } keys %refused ], [], "$name: others were told to try again");
    for my $number (1 .. 3) {
        my $mine = $told[ $number - 1 ];
        note(sprintf 'r%d: %d acknowledged, no answer for at most %.1f s', $number, scalar @{ $mine->{tags} }, $mine->{gap});
        cmp_ok(scalar @{ $mine->{tags} }, '>', 1, "$name: pushes to r$number were acknowledged");
        my @lost = grep { $registry->get("/v2/r$number/manifests/$_")->status != 200 } @{ $mine->{tags} };
        is_deeply(\@lost, [], "$name: and all are there");
    }
    return;
}

# Pushes come in again.
sub takes_pushes ($tag) { return wait_for(90, sub { $registry->push_image('probe', $tag, [ random_bytes(100) ])->status == 201 }) }

my $dead = primary();
under_load("$dead dies", sub { cluster('kill', $dead)->{exit} == 0 && takes_pushes('dead') });
isnt(primary(), $dead, 'the other takes writes');
is(cluster('run', $dead)->{exit}, 0, "$dead comes back");
ok(wait_for(60, \&has_standby), '... and becomes the standby');

under_load('a node dies', sub { cluster('kill', 'node1')->{exit} == 0 && takes_pushes('node') });
is(cluster('run', 'node1')->{exit}, 0, 'it comes back');

if ($blobs eq 's3') {
    under_load('S3 is away', sub {
        return if cluster('kill', 's3')->{exit} != 0;
        sleep 10;
        return cluster('run', 's3')->{exit} == 0 && takes_pushes('s3');
    });
}

# REGISTRY_TEST_LONG=1. Its kernel still acknowledges what it is sent.
if ($ENV{REGISTRY_TEST_LONG}) {
    my $hung = primary();
    under_load("$hung hangs", sub {
        my @all = processes_of($hung);
        kill 'STOP', @all or return 0;
        my $came = takes_pushes('hung');
        kill 'CONT', @all;
        # Until Patroni looks, it answers what was true before.
        return $came && wait_for(60, sub { (primary() // $hung) ne $hung });
    });
}

# Patroni, PostgreSQL, and PostgreSQL's children.
sub processes_of ($part) {
    my ($patroni)    = slurp("$dir/run/$part") =~ /^(\d+)/;
    my ($postmaster) = slurp("$dir/$part/data/postmaster.pid") =~ /^(\d+)/;
    return ($patroni, $postmaster, split ' ', run([ 'pgrep', '-P', $postmaster ])->{out});
}

# Patroni of the one that doesn't take writes says whether it may take over.
sub has_standby () {
    my $p = (primary() // return 0) =~ s/^pg//r;
    my $r = Registry::Client->new(port => $port + 20 + 3 - $p)->get('/sync');
    return $r->status == 200;
}

my $stopped = cluster('stop');
is($stopped->{exit}, 0, 'it stops') or diag($stopped->{err});
is_deeply([ sort(values %{ parts() }) ], [ (q(doesn't run)) x $parts ], '... all of it');
is(run([ 'pgrep', '-f', $dir ])->{out}, '', '... and nothing is left');

END {
    if (defined $script && !Test::More->builder->is_passing) { cluster('stop') }
}

finish();
