# With --database the metadata is in PostgreSQL: all goes on as before, nothing that was acknowledged is lost when workers,
# the server or PostgreSQL die, and a database never meets the blobs of another registry.
use v5.36;
use Registry limit => 200;
use Registry::Checks;
use Registry::Postgresql;
use Registry::Process;
use Registry::Tools;
use Registry::V1;
use Test::More;
use Time::HiRes qw(sleep time);

skip_or_fail('PostgreSQL 15 is not installed (Debian: postgresql-15)') if !Registry::Postgresql->programs;
skip_or_fail('the program was built without PostgreSQL (Debian: libpq-dev)') if slurp(Registry->program) !~ /kv_gate/;

my $pg       = Registry::Postgresql->start;
my $url      = $pg->database('registry');
my $expected = qr/signal 9|signal=9|database|upstream|left in connection|aborting/;
my %how      = (env => { PGPASSWORD => $pg->password }, expected => $expected);
my @options  = ('--database', $url, '--lease', '2s', '--gc-interval', '1s', '--history-keep', '0');
my $registry = Registry->start(%how, args => \@options);

# ---- what clients do ----

my ($kept, $garbage) = map { random_bytes(3000) } 1 .. 2;
is_status($registry->push_image('a/b', 'v1', [$kept]), 201, 'an image is pushed');
is_status($registry->push_image('a/b', 'v2', [$garbage]), 201, '... and another one');
is_status($registry->get('/v2/a/b/manifests/v1'), 200, '... which are there');
is_blob($registry, 'a/b', $kept, '... with their blobs');
is_deeply($registry->get('/v2/a/b/tags/list')->json->{tags}, [ 'v1', 'v2' ], '... and tags');
my $digest = $registry->get('/v2/a/b/manifests/v2')->header('Docker-Content-Digest');
is_status($registry->delete("/v2/a/b/manifests/$digest"), 202, 'one is deleted');
is($pg->sql('registry', 'SELECT count(*) FROM tag')->{out}, "1\n", 'the tags are in PostgreSQL');
ok(!-e $registry->dir . '/db/tables', '... and no other database is there');

# ---- deaths ----

# Pushes until the file is there; returns what was acknowledged, and the statuses of the rest.
sub push_until ($number, $until) {
    my (@tags, %refused);
    for (my $i = 0; !-e $until; $i++) {
        my $status = $registry->push_image("r$number", "t$i", [ random_bytes(2000) ])->status;
        if ($status == 201) { push @tags, "t$i" }
        else                { $refused{$status}++ }
        sleep 0.05;
    }
    return { tags => \@tags, refused => \%refused };
}

sub under_load ($name, $work) {
    my $until = tempdir() . '/over';
    my ($killer, @told) = in_parallel(4, 120, sub ($i) {
        return push_until($i, $until) if $i > 0;
        sleep 1;
        $work->();
        sleep 1;
        spew($until, '');
        return 1;
    });
    my %refused = map { map { $_ => 1 } keys %{ $_->{refused} } } @told;
    is_deeply([ grep { $_ != 503 && $_ != 599 && $_ != 0 } keys %refused ], [], "$name: each push succeeded or was answered 503");
    my $acknowledged = 0;
    for my $number (1 .. 3) {
        my %there = map { $_ => 1 } @{ ($registry->get("/v2/r$number/tags/list")->json // {})->{tags} // [] };
        my @lost  = grep { !$there{$_} } @{ $told[ $number - 1 ]{tags} };
        is_deeply(\@lost, [], "$name: what was acknowledged to r$number is there");
        $acknowledged += @{ $told[ $number - 1 ]{tags} };
    }
    cmp_ok($acknowledged, '>', 3, "$name: pushes were acknowledged");
    return;
}

under_load('workers are killed', sub {
    for (1 .. 5) { kill 'KILL', $registry->children('worker api'); sleep 0.2 }
});
is(scalar($registry->logged(qr/recovering the database/)), 0, '... and no recovery stops all others');
under_load('connections are ended', sub {
    for (1 .. 5) {
        $pg->sql('registry', q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'registry' AND pid <> pg_backend_pid()));
        sleep 0.2;
    }
});
my $data = "$pg->{tmp}/data";
under_load('PostgreSQL restarts', sub {
    $pg->as_user($pg->programs . '/pg_ctl', '-D', $data, '-w', '-m', 'fast', 'restart');
});
ok(wait_for(20, sub { $registry->get('/healthz')->status == 200 }), 'all is well again');

# ---- a standby that doesn't answer ----

# PostgreSQL stops to wait for it when a statement takes too long, and then says that it has committed.
sub wants_standby ($names) {
    $pg->sql('postgres', "ALTER SYSTEM SET synchronous_standby_names = '$names'");
    $pg->sql('postgres', 'SELECT pg_reload_conf()');
    return wait_for(10, sub { $pg->sql('postgres', 'SHOW synchronous_standby_names')->{out} eq "$names\n" });
}
ok(wants_standby('gone'), 'the standby is gone');
is_status($registry->with(timeout => 120)->push_image('a/b', 'v3', [$kept]), 503, 'what only one database has is not acknowledged');
ok(wants_standby(''), 'no standby is wanted any more');
is_status($registry->push_image('a/b', 'v3', [$kept]), 201, '... and the push succeeds');

# ---- restarts of the server ----

$registry->crash;
$registry = Registry->start(%how, dir => $registry->dir, args => \@options);
is_status($registry->get('/v2/a/b/manifests/v1'), 200, 'after kill -9 of the server all is there');
is_blob($registry, 'a/b', $kept, '... with its blobs');
ok(wait_for(20, sub { !$registry->blob_files(digest($garbage)) }), 'garbage is collected');

# ---- records whose bytes are gone ----

# As after a wrong restore.
my $v1 = Registry::V1->new($registry);
my ($image) = Registry::V1::random_chain(1);
is_deeply([ grep { $_->[1]->status != $_->[2] } $v1->push_images('old/app', 'latest', $image) ], [], 'an image of the first API is pushed');
my $pulled = $registry->get('/v2/a/b/manifests/v1');
my @paths  = map { "/v2/a/b/manifests/$_" } 'v1', $pulled->header('Docker-Content-Digest');
my @v1     = map { "/v1/images/$_/json" } $image->{id}, $pulled->json->{config}{digest} =~ s/^sha256://r;
is_status($registry->get($_), 200, "$_ is there") for @paths, @v1;
$pg->sql('registry', 'CREATE TABLE kept AS SELECT * FROM content');
for my $case ([ 'no bytes', q(''), @v1 ], [ 'too few', 'substring(v, 1, 20)', $v1[1] ], [ 'others', 'overlay(v PLACING v FROM 2)', $v1[1] ]) {
    my ($name, $bytes, @more) = @$case;
    is($pg->sql('registry', "UPDATE content SET v = $bytes")->{exit}, 0, "$name: the database is damaged");
    for my $path (@paths, @more) {
        my $r = $registry->get($path);
        is_status($r, 500, "$name: GET $path");
        is($r->json->{errors}[0]{code}, 'UNKNOWN', '... whole, with its code') if $path =~ /^.v2/;
        is_status($registry->head($path), 500, '... HEAD');
    }
    $pg->sql('registry', 'UPDATE content SET v = kept.v FROM kept WHERE kept.k = content.k');
}
ok($registry->logged(qr/a request failed.*the database has other bytes \(0\) for \Q$_\E/), "the log names $_")
    for $pulled->header('Docker-Content-Digest'), $image->{id};
is_status($registry->get($_), 200, "$_ is whole again") for @paths, @v1;
$pg->sql('registry', 'DROP TABLE kept');
my $dir = $registry->dir;
$registry->stop;

# ---- what doesn't belong together ----

sub refused ($args, $why, $name) {
    my $ran = Registry->try([ '--listen', '127.0.0.1', '--port', '0', @$args ], env => $how{env}, timeout => 60);
    isnt($ran->{exit}, 0, $name);
    like($ran->{err} . $ran->{out}, $why, '... and the line says why');
    return;
}
refused([ '--dir', $dir ], qr/say with --database/, 'the directory alone is refused');
refused([ '--dir', $dir, '--database', $pg->database('another') ], qr/doesn't belong to this data directory/, '... so is it with another database');
refused([ '--dir', tempdir() . '/new', '--database', $url ], qr/the blobs of --database aren't in this data directory.*name another database/, '... and the database with another directory');
refused([ '--dir', tempdir() . '/new', '--database', 'postgresql://registry@/x?host=/nowhere' ],
    qr/^docker-registry-server: the registry can't start now, but may later: the database can't be reached/m, 'a database that is away');
refused([ '--dir', $dir, '--database', 'postgresql://ann:secret@/x' ], qr/has a password/, 'a password on the command line is refused');
finish();
