# "migrate" moves a registry from its directory to PostgreSQL, and its layers to another directory: beside the server while
# it serves, again and again, and at last without it. Nothing that was acknowledged is lost, and no two servers ever use it.
use v5.36;
use Registry limit => 250;
use Registry::Checks;
use Registry::Postgresql;
use Registry::Process;
use Registry::S3;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(sleep);

skip_or_fail('PostgreSQL 15 is not installed (Debian: postgresql-15)') if !Registry::Postgresql->programs;
skip_or_fail('the program was built without PostgreSQL (Debian: libpq-dev)') if slurp(Registry->program) !~ /kv_gate/;

my $pg      = Registry::Postgresql->start;
my %env     = (env => { PGPASSWORD => $pg->password });
my @options = ('--lease', '1s', '--gc-interval', '1s', '--scrub-days', '0');
my $tmp     = tempdir();

# The server has no password of the database: that of the command counts.
sub command (@args) { return Registry->try(\@args, %env, timeout => 100) }
sub migrate ($dir, @args) { return command('migrate', '--dir', $dir, @args) }
sub start ($dir, @args) { return Registry->start(%env, dir => $dir, args => [ @options, @args ]) }
sub no_start ($pattern, $name, @args) {
    return is_refused(Registry->try([ '--listen', '127.0.0.1', '--port', '0', @args ], %env), $pattern, $name);
}
# The layers whose indexes are below a directory.
sub indexed ($at) { return [ sort map { m{/(\w{64})$} } split /\n/, run([ 'find', "$at/index", '-type', 'f' ])->{out} ] }
sub count ($database, $what) { return $pg->sql($database, "SELECT count(*) FROM $what")->{out} + 0 }

# A directory for blobs, which the server's user owns.
sub blobs_at ($name) {
    mkdir "$tmp/$name" or die "$name: $!";
    chown scalar(getpwnam 'www-data'), -1, "$tmp/$name" if is_root();
    chmod 0755, $tmp;
    return "$tmp/$name";
}

# What a command says that it wrote.
sub written ($ran) { return ($ran->{out} =~ /^\d+ records, (\d+) of them written/)[0] // -1 }

# ---- to a database, with the blobs where they are ----

my $registry = Registry->start(args => \@options, expected => qr/process died|recovering |upstream/);
my $dir      = $registry->dir;
my $url      = $pg->database('one');
is_status($registry->push_image('team/app', "v$_", [ random_bytes(20_000) ]), 201, "tag v$_") for 1 .. 5;
ok(wait_for(30, sub { $registry->files('index') >= 5 }), 'all layers are indexed');

my $ran = migrate($dir, '--to', $url);
works($ran, 'beside the server');
like($ran->{out}, qr/^(\d+) records, \1 of them written; 10 blobs \(\S+ kB\), 0 of them copied \(0 bytes\): verified$/m, '... all is written');
like($ran->{out}, qr/^The server still uses the old place\. Stop it, repeat this command, and start the server with --dir \Q$dir --database $url\E$/m,
    '... and it says what to do next');
is_deeply([ grep { $_ ne 'logs' } map { s{.*/}{}r } glob "$dir/snapshots/*" ], [], '... and nothing is left');
no_start(qr/unfinished copy of a registry, or an old one: repeat/, 'no server starts with it yet', '--dir', "$tmp/early", '--database', $url);
cmp_ok(written(migrate($dir, '--to', $url)), '<', 20, 'a second run writes next to nothing');
is_status($registry->push_image('team/app', 'v6', [ random_bytes(20_000) ]), 201, 'the server goes on');
my $gone = $registry->get('/v2/team/app/manifests/v1')->header('Docker-Content-Digest');
is_status($registry->delete("/v2/team/app/manifests/$gone"), 202, '... and something is deleted');
$ran = migrate($dir, '--to', $url);
works($ran, 'a third run');
cmp_ok(written($ran), '<', 60, '... writes what has changed');
cmp_ok(written($ran), '>', 5,  '... at least');

# Under load: while it runs, and while its process is killed.
sub push_until ($number, $until) {
    my @tags;
    for (my $i = 0; !-e $until; $i++) {
        push @tags, "t$i" if $registry->push_image("load/r$number", "t$i", [ random_bytes(3000) ])->status == 201;
        $registry->delete("/v2/load/r$number/manifests/" . ($registry->head("/v2/load/r$number/manifests/" . pop @tags)->header('Docker-Content-Digest') // ''))
            if $i % 5 == 4;
    }
    return \@tags;
}
my ($rounds, @acknowledged) = in_parallel(3, 120, sub ($i) {
    return push_until($i, "$tmp/over") if $i > 0;
    my ($killed, $good) = (0, 0);
    for (1 .. 6) {
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            open STDOUT, '>', '/dev/null';
            open STDERR, '>', '/dev/null';
            $ENV{PGPASSWORD} = $pg->password;
            exec Registry->program, 'migrate', '--dir', $dir, '--to', $url;
        }
        sleep 0.05 * $_;
        my ($child) = grep { title_of($_) =~ /^command migrate/ } $registry->processes;
        $killed += kill 'KILL', $child // $pid;
        waitpid $pid, 0;
    }
    for (1 .. 2) { $good += migrate($dir, '--to', $url)->{exit} == 0 }
    spew("$tmp/over", '');
    return [ $killed, $good ];
});
cmp_ok($rounds->[0], '>', 0, 'under load, some runs are killed');
is($rounds->[1], 2, '... and others succeed');
ok(wait_for(20, sub { $registry->get('/healthz')->status == 200 }), 'the server is well');
my $contents = contents($registry);
$registry->stop;

$ran = migrate($dir, '--to', $url);
works($ran, 'without the server');
like($ran->{out}, qr/^The registry is there now\. Start its server with --dir \Q$dir --database $url\E$/m, '... and it says what to do next');
no_start(qr/was moved to a database: say with --database/, 'the old place is out of use', '--dir', $dir);
no_start(qr/doesn't belong to this data directory/, 'its blobs are not those of an empty database', '--dir', $dir, '--database', $pg->database('empty'));
is_refused(command('repo', 'ls', '--dir', $dir), qr/was moved to a database/, '... for commands, too');
is_refused(command('check', '--dir', $dir, '--listen', '127.0.0.1', '--port', '0'), qr/database: .*was moved to a database/, '... as check tells');
is_refused(command('restore', '--snapshot', '--dir', $dir), qr/was moved to a database/, '... and for snapshots, which are older');
is_refused(migrate($dir, '--to', $url), qr/was moved to a database/, '... and for another migrate');
$registry = start($dir, '--database', $url);
is_deeply(contents($registry), $contents, 'all is there');
is_deeply([ grep { !exists $contents->{"load/r$_->[0]:$_->[1]"} } map { my $n = $_; map { [ $n, $_ ] } @{ $acknowledged[ $n - 1 ] } } 1 .. 2 ], [],
    '... with all that was acknowledged');
cmp_ok(scalar(map { @$_ } @acknowledged), '>', 5, '... which is something');
is_status($registry->push_image('team/app', 'v7', [ random_bytes(20_000) ]), 201, 'it takes pushes');
is(command('tag', 'restore', 'team/app:v1', '--dir', $dir)->{exit}, 0, '... and what was deleted before can be put back');
works(command('fsck', '--dir', $dir), 'fsck finds nothing');
my $audit = command('audit', '--dir', $dir)->{out};
like($audit, qr/ migrate +postgresql:/, 'the audit tells of it');
like($audit, qr/ tagged +team\/app:v7 /, '... and of what came later');
is_refused(migrate($dir, '--to', $pg->database('other')), qr/in PostgreSQL already/, 'a registry that is there is not moved further');
$registry->stop;

# ---- with the blobs, to another directory ----

my $second = Registry->start(args => \@options);
my $dir2   = $second->dir;
my $url2   = $pg->database('two');
my $blobs  = blobs_at('blobs');
my @to     = ('--to', $url2, '--blobs', $blobs);
is_status($second->push_image('team/app', "v$_", [ random_bytes(20_000) ]), 201, "tag v$_") for 1 .. 3;
$ran = migrate($dir2, @to);
works($ran, 'with blobs, beside the server');
like($ran->{out}, qr/; 6 blobs \(\S+ kB\), 6 of them copied \(\S+ kB\): verified$/m, '... which are copied');
like($ran->{out}, qr/--database \Q$url2 --blobs $blobs\E$/m, '... and it says what to do next');
is_status($second->push_image('team/app', 'v4', [ random_bytes(20_000) ]), 201, 'the server goes on');
like(migrate($dir2, @to)->{out}, qr/; 8 blobs \(\S+ kB\), 2 of them copied /, '... and the next run copies what is new');

# A damaged blob must not be missing later.
my $layer = random_bytes(5000);
is_status($second->push_image('team/app', 'v5', [$layer]), 201, 'an image is damaged');
my ($file) = map { "$dir2/$_" } $second->blob_files(digest($layer));
chmod 0644, $file;
flip($file, 10);
$ran = migrate($dir2, @to);
is_refused($ran, qr/1 blob is missing or damaged, and must not be missing in the new place: run fsck --repair/, '... which is refused');
like($ran->{err}, qr/\Q${\digest($layer)}\E is damaged, and wasn't copied: its file has other contents/, '... by its name');
command('fsck', '--dir', $dir2, '--repair');
is_status($second->push_blob('team/app', $layer), 201, '... until it is repaired, and pushed again');
ok(wait_for(30, sub { @{ indexed($dir2) } == 5 }), '... and indexed');
works(migrate($dir2, @to), '... and then');
$contents = contents($second);
$second->stop;

$ran = migrate($dir2, @to);
works($ran, 'without the server');
like($ran->{out}, qr/ 0 of them copied /, '... nothing is left to copy');
cmp_ok(scalar @{ indexed($blobs) }, '>=', 4, 'indexes are with the blobs then');
is_deeply(indexed($blobs), indexed($dir2), '... all of them');
no_start(qr/--blobs|registry-id/, 'blobs of another place are refused', '--dir', $dir2, '--database', $url2, '--blobs', blobs_at('strange'));
no_start(qr/aren't in this data directory.*say with --blobs/, '... and so are the old ones', '--dir', $dir2, '--database', $url2);
rename "$dir2/layers/sha256", "$dir2/layers.before" or die $!;
$second = start($dir2, '--database', $url2, '--blobs', $blobs);
is_deeply(contents($second), $contents, 'all is there, without the old files');
is_status($second->push_image('team/app', 'v9', [ random_bytes(20_000) ]), 201, 'it takes pushes');
my $found;
wait_for(60, sub { $found = command('fsck', '--dir', $dir2); $found->{exit} == 0 });
works($found, 'fsck finds nothing');
$second->stop;

# From there to a third directory: what is pushed after the run beside the server is only in the second one.
my $elsewhere = blobs_at('elsewhere');
my $node = Registry->start(%env, args => [ @options, '--database', $url2, '--blobs', $blobs ]);
is_refused(migrate($dir2, '--to', $dir2, '--database', $url2, '--blobs', $blobs), qr/a server on \S+ works with this database/,
    'it is not moved back while a server with another data directory uses the database');
$node->stop;
$second = start($dir2, '--database', $url2, '--blobs', $blobs);
works(migrate($dir2, '--to', $dir2, '--blobs', $elsewhere), 'back, and to a third directory');
is_status($second->push_image('team/app', 'v10', [ random_bytes(20_000) ]), 201, 'the server goes on');
$contents = contents($second);
$second->stop;
my @back = ('--to', $dir2, '--database', $url2, '--blobs', $elsewhere);
is_refused(migrate($dir2, @back), qr/2 blobs are missing or damaged.*or copy what the server had elsewhere to --blobs, and repeat/,
    'without the server, blobs that only the second directory has are missing');
works(run([ 'cp', '-an', "$blobs/.", $elsewhere ]), '... until they are copied');
works(migrate($dir2, @back), '... and then');
$second = start($dir2, '--blobs', $elsewhere);
is_deeply(contents($second), $contents, 'all is there');
is_status($second->push_image('team/app', 'v11', [ random_bytes(20_000) ]), 201, 'it takes pushes');
$second->stop;
unlink "$blobs/registry-id" or die "registry-id: $!";
no_start(qr/doesn't have the blobs of this registry \(there is no registry-id\)/, 'without its registry-id, the old place is refused', '--dir', $dir2, '--blobs', $blobs);
$second = start($dir2, '--blobs', $elsewhere);
$ran = migrate($dir2, '--to', $url2, '--blobs', $blobs);
works($ran, '... and takes a later move');
my ($all, $new) = $ran->{out} =~ /; (\d+) blobs \(\S+ kB\), (\d+) of them copied /;
cmp_ok($new // 99, '<', $all // 0, '... which begins with what it has');
$second->stop;

# ---- with the blobs, to a bucket ----

SKIP: {
    skip 'the program was built without libcurl (Debian: libcurl4-openssl-dev)', 8 if slurp(Registry->program) !~ /libcurl\.so/;
    my $s3     = Registry::S3->start;
    my $bucket = $s3->url;
    my $inside = Registry->start(args => \@options);
    my $dir4   = $inside->dir;
    my $url4   = $pg->database('four');
    my ($access, $secret) = @{ $s3->env }{qw(AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY)};
    spew("$dir4/auth/s3-keys", "access-key = $access\nsecret-key = $secret\n");
    if (is_root()) { chown((getpwnam 'www-data')[ 2, 3 ], "$dir4/auth/s3-keys") or die "chown: $!" }
    chmod 0600, "$dir4/auth/s3-keys";
    is_status($inside->push_image('team/app', "v$_", [ random_bytes(20_000) ]), 201, "tag v$_") for 1 .. 2;
    ok(wait_for(30, sub { @{ indexed($dir4) } == 2 }), 'the layers are indexed');
    my $run = migrate($dir4, '--to', $url4, '--blobs', $bucket);
    works($run, 'to a bucket, beside the server');
    like($run->{out}, qr/; 4 blobs \(\S+ kB\), 4 of them copied /, '... with its blobs');
    is_status($inside->push_image('team/app', 'v3', [ random_bytes(20_000) ]), 201, 'the server goes on');
    my $all = contents($inside);
    ok(wait_for(30, sub { @{ indexed($dir4) } == 3 }), '... and indexes');
    $inside->stop;
    $s3->fail(methods => 'HEAD', status => 500); # what is there is listed, and not asked for one by one
    $run = migrate($dir4, '--to', $url4, '--blobs', $bucket);
    $s3->fail;
    like($run->{out}, qr/; 6 blobs \(\S+ kB\), 2 of them copied /, 'without it, the rest is copied');
    my $in_bucket = sub () { return [ sort map { m{/(\w{64})$} } $s3->objects('registry/index/') ] };
    is_deeply($in_bucket->(), indexed($dir4), '... with the indexes');
    rename "$dir4/layers/sha256", "$dir4/layers.before" or die $!;
    $inside = start($dir4, '--database', $url4, '--blobs', $bucket);
    is_deeply(contents($inside), $all, 'all is there, without the old files');
    works(command('fsck', '--dir', $dir4), 'fsck finds nothing');
    is_status($inside->push_image('team/app', 'v4', [ random_bytes(20_000) ]), 201, 'it takes pushes');
    ok(wait_for(30, sub { @{ $in_bucket->() } == 4 }), '... and indexes them in the bucket');
    run([ 'rm', '-r', "$dir4/index/sha256" ]);
    works(migrate($dir4, '--to', $dir4, '--blobs', blobs_at('back')), 'back, and to a directory');
    is_deeply(indexed($dir4), $in_bucket->(), '... with the indexes of the bucket');
    $inside->stop;
}

# ---- what is refused ----

my $third = Registry->start(args => \@options);
my $dir3  = $third->dir;
is_status($third->push_image('team/app', 'v1', [ random_bytes(2000) ]), 201, 'another registry');
is_refused(migrate($dir3, '--to', $url), qr/has a registry already \(its registry-id is [0-9a-f]{16}\): name an empty database/, 'a database with a registry');
my $fresh = $pg->database('three');
is_refused(migrate($dir3, '--to', $fresh, '--blobs', $blobs), qr/has the blobs of another registry: its registry-id is [0-9a-f]{16}/, 'blobs of another registry');
spew(blobs_at('full') . '/thesis.tex', '');
is_refused(migrate($dir3, '--to', $fresh, '--blobs', "$tmp/full"), qr/holds thesis\.tex, which isn't a registry's/, 'a directory with something else');
is_refused(migrate($dir3, '--to', $fresh, '--blobs', "$tmp/none"), qr/doesn't exist/, 'a directory that is not there');
is_refused(migrate($dir3, '--to', 'postgresql://ann:secret@/x'), qr/has a password/, 'a password that everybody can see');
is_refused(migrate($dir3, '--to', "postgresql://ann\@/x?$_=secret"), qr/has a password/, "... as $_") for qw(password sslpassword);
my $other = migrate($dir3, '--to', 'mysql://ann:secret@x');
is_refused($other, qr/must be a URL/, 'another kind of database');
unlike($other->{err}, qr/secret/, '... whose password is not repeated');
is_refused(migrate($dir3), qr/^.*usage: /, 'no place');
is_refused(migrate($dir3, '--to', 'postgresql://registry@/none?host=' . $pg->socket), qr/database "none" does not exist/, 'a database that is not there');
works(migrate($dir3, '--to', $fresh), 'it can still be moved');
$third->stop;
my $fourth = Registry->start(args => \@options);
is_refused(migrate($fourth->dir, '--to', $fresh), qr/unfinished copy of something else/, 'the unfinished copy of another registry');
$fourth->stop;
$third = start($dir3);
is_status($third->get('/v2/team/app/manifests/v1'), 200, 'a registry that was only copied goes on where it is');
finish();
