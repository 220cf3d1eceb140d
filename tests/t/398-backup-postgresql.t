# A backup of a registry with its metadata in PostgreSQL is one like all others: of one moment, incremental, verified; it is
# restored into a data directory or into a database, and so is a backup of a registry that has all in its directory.
use v5.36;
use Registry limit => 300;
use Registry::Checks;
use Registry::Postgresql;
use Registry::Process;
use Registry::Tools;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use Test::More;

skip_or_fail('PostgreSQL 15 is not installed (Debian: postgresql-15)') if !Registry::Postgresql->programs;
skip_or_fail('the program was built without PostgreSQL (Debian: libpq-dev)') if slurp(Registry->program) !~ /kv_gate/;

my $here     = abs_path(dirname $0);
my $pg       = Registry::Postgresql->start;
my $url      = $pg->database('registry');
my %env      = (env => { PGPASSWORD => $pg->password });
my @options  = ('--lease', '1s', '--gc-interval', '1s', '--history-keep', '0s', '--scrub-days', '0');
my $tmp      = tempdir();
my $backups  = "$tmp/backups";
my $registry = Registry->start(%env, args => [ '--database', $url, @options ], expected => qr/aborting|database/);
my $dir      = $registry->dir;

sub command (@args) { return Registry->try(\@args, %env, timeout => 100) }
sub backup ($dir, @args) { return command('backup', $backups, '--dir', $dir, @args) }
sub restore ($from, $to, @args) { return command('restore', $from, '--dir', $to, @args, is_root() ? ('--run-as', 'www-data') : ()) }
sub names ($dir) { opendir my $d, $dir or return (); return sort grep { !/^\.\.?$/ } readdir $d }

# Starts a registry there, looks that it has all and takes pushes, and stops it.
sub serves ($to, $contents, $name, @args) {
    my $copy = Registry->start(%env, dir => $to, args => [ @args, @options ]);
    is_deeply(contents($copy), $contents, "$name: each tag pulls");
    is_status($copy->push_image('new/app', 'new', [ random_bytes(1000) ]), 201, '... and it takes pushes');
    works(command('fsck', '--dir', $to), '... in which fsck finds nothing');
    $copy->stop;
    return;
}

is_status($registry->push_image('team/app', $_, [ random_bytes(20_000) ]), 201, "tag $_") for 1 .. 5;
ok(wait_for(20, sub { $registry->files('index') >= 5 }), 'all layers are indexed');
my $contents = contents($registry);

# ---- made ----

my $ran = backup($dir);
works($ran, 'a backup');
like($ran->{out}, qr/^backup (\S+): 10 blobs \(\S+ kB\), 10 of them new/, '... says what it did');
my ($first) = $ran->{out} =~ /^backup (\S+):/;
is_deeply([ grep { $_ ne 'index' } names("$backups/$first") ], [qw(auth backup.json db layers)], '... has all that has to be restored');
is_deeply([ grep { /^__db\.|^(?:tables|checkpoint|lock|unfinished)$/ } names("$backups/$first/db") ], [], '... and tables alone');
works(command('fsck', '--dir', "$backups/$first"), '... in which fsck finds nothing');
is_deeply([ names("$dir/snapshots") ], ['logs'], '... and nothing is left in the data directory');
is_status($registry->push_image('team/app', 6, [ random_bytes(20_000) ]), 201, 'one more tag');
$ran = backup($dir);
like($ran->{out}, qr/: 12 blobs \(\S+ kB\), 2 of them new/, 'the next one copies what is new');
my ($second) = $ran->{out} =~ /^backup (\S+):/;
is(scalar(() = command('backup', '--list', $backups)->{out} =~ /\tcomplete\t/g), 2, '--list has both');
my $whole = contents($registry);
ok(wait_for(20, sub { command('stat', '--dir', $dir)->{out} =~ /last backup +\d+ s ago/ }), 'stat tells when it was');

# ---- restored ----

works(restore("$backups/$first", "$tmp/inside"), 'a restore into a data directory');
serves("$tmp/inside", $contents, 'there');
my $other = $pg->database('other');
works(restore("$backups/$second", "$tmp/outside", '--database', $other), 'a restore into a database');
ok(!-e "$tmp/outside/db/tag", '... leaves no tables in the data directory');
serves("$tmp/outside", $whole, 'there', '--database', $other);
is_refused(restore("$backups/$second", "$tmp/twice", '--database', $other), qr/has a registry already/, 'a database with a registry is refused');
is_refused(restore("$backups/$second", "$tmp/twice", '--database', $url), qr/has a registry already/, '... also one that is in use');
is_refused(Registry->try([ '--dir', "$tmp/twice", '--port', '0', '--listen', '127.0.0.1', '--database', $url ], %env), qr/not complete|restor/,
    'no server starts in what was refused');

# From a data directory into a database, and back again.
my $embedded = Registry->start(%env, dir => "$tmp/inside", args => \@options);
$whole = contents($embedded);
my $from_inside = "$tmp/others";
works(command('backup', $from_inside, '--dir', "$tmp/inside"), 'a backup of a registry without PostgreSQL');
$embedded->stop;
my $third = $pg->database('third');
works(restore($from_inside, "$tmp/third", '--database', $third), '... is restored into a database');
serves("$tmp/third", $whole, 'there', '--database', $third);
my $again = Registry->start(%env, dir => "$tmp/third", args => [ '--database', $third, @options ]);
$whole = contents($again);
works(command('backup', "$tmp/more", '--dir', "$tmp/third"), 'its backup');
$again->stop;
works(restore("$tmp/more", "$tmp/fourth"), '... is restored into a data directory');
serves("$tmp/fourth", $whole, 'there');

# ---- interrupted ----

# A session of its own, until it is ended.
sub session ($database, @statements) {
    my $pid = fork // die "fork: $!";
    return $pid if $pid != 0;
    $ENV{PGPASSWORD} = $pg->password;
    open STDOUT, '>', '/dev/null';
    exec $pg->programs . '/psql', '-qAtX', '-h', $pg->socket, '-U', 'registry', (map { ('-c', $_) } @statements, 'SELECT pg_sleep(60)'), $database;
}
sub end_session ($pid, $database) {
    kill 'KILL', $pid;
    waitpid $pid, 0;
    $pg->sql($database, q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'));
    return;
}
sub count ($database, $what) { return $pg->sql($database, "SELECT count(*) FROM $what")->{out} + 0 }

my $fifth = $pg->database('fifth');
$pg->sql('fifth', 'CREATE TABLE edge (k bytea PRIMARY KEY, v bytea NOT NULL)');
my $lock = session('fifth', 'BEGIN', 'LOCK TABLE edge IN SHARE MODE');
ok(wait_for(10, sub { count('fifth', q(pg_locks WHERE mode = 'ShareLock')) == 1 }), 'a restore has to wait in the middle');
my $pid = fork // die "fork: $!";
if ($pid == 0) {
    open STDOUT, '>', '/dev/null';
    $ENV{PGPASSWORD} = $pg->password;
    exec Registry->program, 'restore', "$backups/$second", '--dir', "$tmp/fifth", '--database', $fifth, is_root() ? ('--run-as', 'www-data') : ();
}
ok(wait_for(10, sub { count('fifth', 'pg_locks WHERE NOT granted') == 1 }), '... does so');
kill 'KILL', $pid;
waitpid $pid, 0;
end_session($lock, 'fifth');
cmp_ok(count('fifth', 'blob'), '>', 0, '... and is killed when it has written something');
is_refused(restore("$backups/$first", "$tmp/sixth", '--database', $fifth), qr/unfinished copy of something else/, '... another one is refused there');
works(restore("$backups/$second", "$tmp/fifth", '--database', $fifth), '... and the same one goes on');
serves("$tmp/fifth", contents($registry), 'there', '--database', $fifth);

# ---- garbage, while some machine makes a backup ----

my $layer = random_bytes(5000);
is_status($registry->push_image('gone', 'v1', [$layer]), 201, 'an image is pushed');
my $digest = $registry->get('/v2/gone/manifests/v1')->header('Docker-Content-Digest');
my $holder = session('registry', 'SELECT pg_advisory_lock_shared(21065, 0)');
ok(wait_for(10, sub { count('registry', q(pg_locks WHERE locktype = 'advisory' AND classid = 21065)) == 1 }), 'a backup runs on another machine');
is_status($registry->delete("/v2/gone/manifests/$digest"), 202, 'the image is deleted');
my $kept = keys(%{ contents($registry) }) * 2;
ok(wait_for(20, sub { count('registry', 'blob') == $kept }), '... and the records of its blobs go');
select undef, undef, undef, 5;
is(scalar $registry->blob_files(digest($layer)), 1, '... but not their files, which that backup may copy');
end_session($holder, 'registry');
ok(wait_for(30, sub { !$registry->blob_files(digest($layer)) }), '... until it ends');

# ---- without a server ----

$registry->stop;
$ran = backup($dir, '--database', $url);
works($ran, 'a backup without a server');
like($ran->{out}, qr/, 0 of them new/, '... copies nothing twice');
is_refused(backup($dir), qr/say with --database where it is/, '... and has to be told where the metadata is');

# ---- under load ----

$ran = run([ $^X, "-I$here/../lib", "$here/391-backup-load.t" ], env => { BACKUP_POSTGRESQL => 1, BACKUP_ROUNDS => 4 }, timeout => 200);
is($ran->{exit}, 0, 'backups under load, some of them killed') or diag($ran->{out}, $ran->{err});
finish();
