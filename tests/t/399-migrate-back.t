# "migrate" there and back: all that a registry has comes along, also what waits; a run that is killed at the end can be
# repeated; of two places at most one can be started.
use v5.36;
use Registry limit => 300;
use Registry::Checks;
use Registry::Postgresql;
use Registry::Process;
use Registry::Tools;
use Registry::V1;
use Test::More;
use Time::HiRes qw(sleep);

skip_or_fail('PostgreSQL 15 is not installed (Debian: postgresql-15)') if !Registry::Postgresql->programs;
skip_or_fail('the program was built without PostgreSQL (Debian: libpq-dev)') if slurp(Registry->program) !~ /kv_gate/;

my $pg      = Registry::Postgresql->start;
my $url     = $pg->database('there');
my $seen    = tempdir();
my %env     = (env => { PGPASSWORD => $pg->password, SEEN => $seen });
my @hook    = ('--on-tag', 'test -e "$SEEN/go" && echo "$REGISTRY_TAG" >>"$SEEN/log"', '--hook-retries', '100');
my @options = ('--gc-interval', '1s', '--scrub-days', '0', @hook);
my @there   = ('--database', $url);
chmod 0777, $seen;

sub command (@args) { return Registry->try(\@args, %env, timeout => 100) }
sub start ($dir, @args) { return Registry->start(%env, dir => $dir, args => [ @options, @args ], expected => qr/hook|process died/) }
sub no_start ($pattern, $name, @args) {
    return is_refused(Registry->try([ '--listen', '127.0.0.1', '--port', '0', @args ], %env), $pattern, $name);
}
sub lines_of ($command) { return split /\n/, $command->{out} }

# ---- a registry with something of everything ----

my $registry = Registry->start(%env, args => \@options, expected => qr/hook|process died/);
my $dir      = $registry->dir;
sub fsck_is_clean ($name) {
    my $ran = command('fsck', '--dir', $dir, '--rate', '0');
    return ok($ran->{exit} == 0 && $ran->{out} =~ /: 0 findings, 0 repaired$/, $name) || diag($ran->{out}, $ran->{err});
}
my %layers;
is_status($registry->push_image('team/app', "v$_", [ $layers{$_} = random_bytes(20_000) ]), 201, "tag v$_") for 1 .. 4;
is_status($registry->push_image('team/app', 'v1', [ random_bytes(5000) ]), 201, 'v1 is overwritten');
is_status($registry->delete('/v2/team/app/manifests/v2'), 202, 'v2 is deleted');
my @chain = Registry::V1::random_chain(3);
my $v1    = Registry::V1->new($registry);
my @steps = $v1->push_images('old/app', 'latest', @chain);
is_deeply([ grep { $_->[1]->status != $_->[2] } @steps ], [], 'images of the first API are pushed');
my $upload = $registry->post('/v2/team/app/blobs/uploads/', body => '')->header('Location');
is_status($registry->patch($upload, body => 'half of it'), 202, 'an upload begins');
ok(wait_for(30, sub { $registry->get('/v2/old/app/manifests/latest')->status == 200 }), '... and are converted');
my $contents = contents($registry);
is(scalar(keys %$contents), 4, 'four tags');
sub chain_of ($client) {
    return [ map { { id => $_->{id}, json => $_->{json}, layer => $_->{layer} } } @{ Registry::V1->new($client)->pull_images('old/app', 'latest')->{images} } ];
}
my $images = chain_of($registry);
is(scalar(@$images), 3, '... one of them with three images');
my @history = lines_of(command('tag', 'history', 'team/app:v1', '--dir', $dir));
cmp_ok(scalar(@history), '>', 1, '... and a history');
my $waiting = grep { /^\d+\t/ } lines_of(command('hooks', '--dir', $dir));
cmp_ok($waiting, '>', 0, '... and hooks that wait');

# ---- there ----

works(command('migrate', '--dir', $dir, '--to', $url), 'it is copied beside the server');
$registry->stop;
no_start(qr/has its own metadata in db.*docker-registry-server migrate/, 'the copy is no registry yet', '--dir', $dir, @there);

# As if the last run had been killed when both places were out of use.
$pg->sql('there', q(CREATE TABLE kept AS SELECT * FROM meta WHERE k = 'copying' OR position('copying'::bytea IN k) > 0));
is($pg->sql('there', 'SELECT count(*) FROM kept')->{out} + 0, 1, 'the mark of an unfinished copy');
works(command('migrate', '--dir', $dir, '--to', $url), 'it is moved');
ok(-e "$dir/db/moved", '... and says so');
$pg->sql('there', 'INSERT INTO meta SELECT * FROM kept');
no_start(qr/unfinished copy/, 'a last run is killed at its end: no server starts with the new place', '--dir', $dir, @there);
no_start(qr/was moved to a database/, '... nor with the old one', '--dir', $dir);
is_refused(command('migrate', '--dir', $dir, '--to', $pg->database('elsewhere')), qr/was moved to a database/, '... which goes nowhere else');
works(command('migrate', '--dir', $dir, '--to', $url), '... and it can be repeated');

sub is_the_same ($name) {
    is_deeply(contents($registry), $contents, "$name: each tag pulls");
    is_deeply(chain_of($registry), $images, '... also by the first API');
    is_deeply([ (lines_of(command('tag', 'history', 'team/app:v1', '--dir', $dir)))[ -@history .. -1 ] ], \@history, '... and the history is there');
    return;
}
$registry = start($dir, @there);
is_the_same('there');
is_status($registry->patch($upload, body => ', and the rest'), 202, 'the upload goes on');
is_status($registry->put($registry->with_digest($upload, digest('half of it, and the rest')), body => ''), 201, '... and ends');
works(command('tag', 'restore', 'team/app:v2', '--dir', $dir), 'what was deleted comes back');
is((grep { /^\d+\t/ } lines_of(command('hooks', '--dir', $dir))) >= $waiting, 1, 'the hooks still wait');
spew("$seen/go", '');
command('hooks', '--dir', $dir, '--retry', 'all');
ok(wait_for(60, sub { -e "$seen/log" && slurp("$seen/log") =~ /^v4$/m }), '... and run');
works(command('gc', '--dir', $dir), 'garbage is collected');
fsck_is_clean('fsck finds nothing');

# ---- and back ----

is_refused(command('migrate', '--dir', $dir, '--to', "$seen"), qr/is neither a database nor the data directory/, 'another directory is refused');
my $ran = command('migrate', '--dir', $dir, '--to', $dir);
works($ran, 'back, beside the server');
like($ran->{out}, qr/^The server still uses the old place\. Stop it, repeat this command, and start the server with --dir \Q$dir\E, without --database$/m,
    '... and it says what to do next');
my ($records, $written) = $ran->{out} =~ /^(\d+) records, (\d+) of them written/;
cmp_ok($written, '<', $records, '... what db/ has already is not written again');

my ($killed, @tags) = in_parallel(2, 100, sub ($i) {
    if ($i == 1) {
        my @pushed;
        for (my $n = 0; !-e "$seen/over"; $n++) {
            push @pushed, "t$n" if $registry->push_image('load/app', "t$n", [ random_bytes(3000) ])->status == 201;
        }
        return \@pushed;
    }
    my $n = 0;
    for my $round (1 .. 5) {
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            open STDOUT, '>', '/dev/null';
            open STDERR, '>', '/dev/null';
            exec Registry->program, 'migrate', '--dir', $dir, '--to', $dir;
        }
        sleep 0.05 * $round;
        my ($child) = grep { title_of($_) =~ /^command migrate/ } $registry->processes;
        $n += kill 'KILL', $child // $pid;
        waitpid $pid, 0;
    }
    my $good = command('migrate', '--dir', $dir, '--to', $dir);
    spew("$seen/over", '');
    return [ $n, $good->{exit}, $good->{err} ];
});
cmp_ok($killed->[0], '>', 0, 'some runs are killed while others push');
is($killed->[1], 0, '... and the next one succeeds') or diag($killed->[2]);
my @acknowledged = @{ $tags[0] };
cmp_ok(scalar(@acknowledged), '>', 3, '... beside pushes');
ok(wait_for(20, sub { $registry->get('/healthz')->status == 200 }), 'the server is well');
$registry->stop;
no_start(qr/was moved to a database/, 'no server starts in the directory alone', '--dir', $dir);
$registry = start($dir, @there);
is_status($registry->push_image('load/app', 'late', [ random_bytes(3000) ]), 201, 'it can be started again, and takes pushes');
$contents = contents($registry);
$registry->stop;

works(command('migrate', '--dir', $dir, @there, '--to', $dir), 'back, without the server');
ok(!-e "$dir/db/moved", '... and nothing says that it was moved');
no_start(qr/has its own metadata in db/, 'the database is out of use', '--dir', $dir, @there);

# As if that run had been killed before it took db/moved away.
spew("$dir/db/moved", "$url\n");
if (is_root()) { chown((getpwnam 'www-data')[ 2, 3 ], "$dir/db/moved") or die "chown: $!" }
no_start(qr/unfinished copy of a registry, or an old one/, 'killed at its end: no server starts with the database', '--dir', $dir, @there);
no_start(qr/was moved to a database/, '... nor with the directory', '--dir', $dir);
$ran = command('migrate', '--dir', $dir, @there, '--to', $dir);
works($ran, '... and it can be repeated');
like($ran->{out}, qr/^The registry is there now\. Start its server with --dir \Q$dir\E, without --database$/m, '... and it says what to do next');

$registry = start($dir);
is_the_same('back');
is_deeply([ grep { !exists $contents->{"load/app:$_"} } @acknowledged, 'late' ], [], '... with all that was acknowledged');
is_status($registry->push_image('team/app', 'v9', [ random_bytes(20_000) ]), 201, 'it takes pushes');
ok(wait_for(60, sub { slurp("$seen/log") =~ /^v9$/m }), '... hooks run');
works(command('gc', '--dir', $dir), 'garbage is collected');
works(command('snapshot', '--dir', $dir), 'a snapshot is taken');
fsck_is_clean('fsck finds nothing');
is_refused(command('migrate', '--dir', $dir, '--to', $dir), qr/is in its data directory already/, 'it is here already');

# The database is an old copy, from which the next move begins.
$ran = command('migrate', '--dir', $dir, '--to', $url);
works($ran, 'there again');
($records, $written) = $ran->{out} =~ /^(\d+) records, (\d+) of them written/;
cmp_ok($written, '<', $records / 2, '... writes what has changed');
$registry->stop;
finish();
