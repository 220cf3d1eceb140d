# With the metadata in PostgreSQL each command works, beside a server and without one, or says in one line what to use
# instead; fsck finds and mends what is wrong in the tables, in the files of blobs and in indexes.
use v5.36;
use Registry limit => 200;
use Registry::Checks;
use Registry::Postgresql;
use Registry::Tools;
use Test::More;

skip_or_fail('PostgreSQL 15 is not installed (Debian: postgresql-15)') if !Registry::Postgresql->programs;
skip_or_fail('the program was built without PostgreSQL (Debian: libpq-dev)') if slurp(Registry->program) !~ /kv_gate/;

my $pg       = Registry::Postgresql->start;
my $url      = $pg->database('registry');
my %how      = (env => { PGPASSWORD => $pg->password });
my @options  = ('--database', $url, '--scrub-days', '0');
my $registry = Registry->start(%how, args => \@options);
my $dir      = $registry->dir;

sub command (@args) { return Registry->try([ @args, '--dir', $dir, '--database', $url ], %how, timeout => 60) }
sub sql ($text)     { my $ran = $pg->sql('registry', $text); is($ran->{exit}, 0, $text) or diag($ran->{err}); return $ran->{out} }
sub index_of ($bytes) { my $hex = digest($bytes) =~ s/sha256://r; return "$dir/index/sha256/" . substr($hex, 0, 2) . "/$hex" }

my ($layer, $other) = map { random_bytes(3000 + $_) } 1 .. 2;
is_status($registry->push_image('a/b', 'v1', [$layer]), 201, 'an image is pushed');
is_status($registry->push_image('a/b', 'v2', [$other]), 201, '... and another one');
ok(wait_for(20, sub { -e index_of($layer) && -e index_of($other) }), '... and indexed');

# ---- each command ----

my @commands = (
    [ 0, qr/^gone: /,                    'gc' ],
    [ 0, qr/^would go: /,                'gc', '--dry-run' ],
    [ 0, qr/named by tag a\/b:v1/,       'explain', 'a/b:v1' ],
    [ 0, qr/\A\z/,                       'find', '--label', 'none' ],
    [ 0, qr/^a\/b:v1$/m,                 'show', 'a/b:v1' ],
    [ 0, qr/ 2 tags  a\/b$/m,            'repo', 'ls' ],
    [ 0, qr/all together/,               'repo', 'du', 'a/b' ],
    [ 0, qr/^v2\t/m,                     'tag', 'ls', 'a/b' ],
    [ 0, qr/^1\t/,                       'tag', 'history', 'a/b:v1' ],
    [ 0, qr/^a\/b:v2\t\S+\t-$/m,         'tag', 'rm', 'a/b:v2' ],
    [ 0, qr/^a\/b:v2\t-\t/m,             'tag', 'restore', 'a/b:v2' ],
    [ 0, qr/Nothing is wrong/,           'stat' ],
    [ 0, qr/ tagged +a\/b:v1/,           'audit' ],
    [ 0, qr/\A\z/,                       'hooks' ],
    [ 0, qr/\A\z/,                       'rotate-key' ],
    [ 0, qr/came back into/,             'rebuild' ],
    [ 0, qr/^checked \d+ records, 4 blobs \(.*, 2 indexes: 0 findings, 0 repaired$/, 'fsck' ],
    [ 0, qr/ 0 findings, 0 repaired$/,   'fsck', '--repair' ],
    [ 2, qr/snapshots are of Berkeley DB alone/, 'snapshot' ],
    [ 2, qr/snapshots are of Berkeley DB alone/, 'restore', '--snapshot' ],
);

sub all_commands ($when) {
    for my $c (@commands) {
        my ($exit, $pattern, @args) = @$c;
        my $ran = command(@args);
        is($ran->{exit}, $exit, "$when: @args") or diag($ran->{err});
        like($exit == 0 ? $ran->{out} : $ran->{err}, $pattern, '... prints what it should');
    }
    my $file = tempdir() . '/a.tar';
    my $ran  = command('export', 'a/b', '--output', $file);
    is($ran->{exit}, 0, "$when: export") or diag($ran->{err});
    $ran = command('import', $file, '--prefix', 'again');
    is($ran->{exit}, 0, "$when: import") or diag($ran->{err});
    is(command('repo', 'rm', 'again/a/b')->{exit}, 0, "$when: repo rm");
    return;
}
all_commands('beside a server');
for my $args (['snapshot'], [ 'snapshot', '--list' ]) {
    my $ran = Registry->try([ @$args, '--dir', $dir ]);
    is($ran->{exit}, 1, "beside a server, without --database: @$args");
    like($ran->{err}, qr/snapshots are of Berkeley DB alone/, '... is refused, too');
}

# ---- what fsck finds ----

sub is_found ($pattern, $what) {
    my $ran = command('fsck');
    is($ran->{exit}, 1, "$what: found") or diag($ran->{out} . $ran->{err});
    like($ran->{out}, qr/^$pattern.*--repair: /m, '... and named') or diag($ran->{out} . $ran->{err});
    $ran = command('fsck', '--repair');
    like($ran->{out}, qr/^$pattern.*repaired: /m, '... and mended') or diag($ran->{out} . $ran->{err});
    $ran = command('fsck');
    is($ran->{exit}, 0, '... once') or diag($ran->{out} . $ran->{err});
    return;
}

sub damages ($when) {
    sql(q(DELETE FROM repo_name));
    is_found('repo-name ', "$when, a name that is lost");
    sql(q(DELETE FROM tally));
    is_found('tag-count |count |repo-count ', "$when, numbers that are lost");
    sql(q(INSERT INTO tag SELECT k || '\x78'::bytea, '\x00' FROM tag LIMIT 1));
    is_found('unreadable ', "$when, a record of no form");
    flip(index_of($layer), 300);
    is_found('index-damaged ' . digest($layer), "$when, an index");
    return;
}
damages('beside a server');
ok(wait_for(20, sub { -e index_of($layer) }), 'the index is made again');
$registry->stop;
all_commands('without a server');
ok(!-e "$dir/db/tables", '... and none of them makes another database');
my $ran;
for my $command ([ 'fsck' ], [ 'repo', 'ls' ]) {
    $ran = Registry->try([ @$command, '--dir', $dir ], %how);
    is($ran->{exit}, 1, "@$command without --database");
    like($ran->{err}, qr/say with --database where it is$/, '... says where the metadata is');
    is($ran->{out}, '', '... and nothing else');
}
damages('without a server');
$ran = Registry->try([ 'fsck', '--dir', $dir, '--database', $pg->database('empty') ], %how);
is($ran->{exit}, 1, 'a database without a registry is refused');
is($ran->{err}, "docker-registry-server: there is no registry in that database yet\n", '... in one line');
is($pg->sql('empty', q(SELECT count(*) FROM pg_tables WHERE schemaname = 'public'))->{out}, "0\n", '... and stays empty');
my ($file) = map { "$dir/$_" } $registry->blob_files(digest($other));
chmod 0644, $file;
flip($file, 100);
chmod 0440, $file;
$ran = command('fsck', '--repair');
like($ran->{out}, qr/^blob-digest ${\digest($other)}: .*repaired: /m, 'a damaged blob is found');
like(command('fsck')->{out}, qr/ 0 findings, 0 repaired; 1 blob waits to be pushed again$/, '... once');
$registry = Registry->start(%how, dir => $dir, args => \@options);
is_status($registry->head('/v2/a/b/blobs/' . digest($other)), 404, '... and out of use');
is_status($registry->push_blob('a/b', $other), 201, '... until it is pushed again');
is(command('fsck')->{exit}, 0, '... and all is well');
finish();
