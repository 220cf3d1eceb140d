# What can't work is refused at once, with one line that says what is wrong, with what, and what to do.
use v5.36;
use Registry limit => 150;
use Registry::Checks;
use Registry::Process;
use Registry::Tools;
use IO::Socket::INET;
use Test::More;

my @HERE = ('--listen', '127.0.0.1', '--port', '0');

# Ends with this code and one line; each pattern is in that line.
sub refused ($name, $exit, $args, $patterns, %o) {
    my $ran  = Registry->try($args, %o);
    my @said = grep { !/level=(?:info|debug)/ } split /\n/, $ran->{err};
    subtest $name => sub {
        ok(!$ran->{timed_out}, 'it ends');
        is($ran->{exit}, $exit, "exit code $exit");
        is(scalar @said, 1, 'one line on stderr');
        like($said[0] // '', $_, "... that tells $_") for @$patterns;
        unlike($ran->{out}, qr/listening/, 'it was never ready');
    } or diag("exit $ran->{exit}, signal $ran->{signal}\n$ran->{err}");
    return;
}

sub wrong_usage ($args, @patterns) {
    my $dir = tempdir() . '/data';
    refused("@$args", 2, [ @HERE, '--dir', $dir, @$args ], \@patterns);
    ok(!-e $dir, '... and nothing was made');
    return;
}

# ---- the command line ----

wrong_usage(['--nonsense'],              qr/--nonsense/);
wrong_usage(['nonsense'],                qr/unexpected argument nonsense: see docker-registry-server serve --help$/);
wrong_usage([ $_, 'x' ], qr/the command comes first: docker-registry-server $_, then its options$/)
    for qw(serve user hooks import export print-nginx-conf help);
refused('a command that there is not', 2, ['nonsense'], [qr/unknown command nonsense: see \S+ --help$/]);
wrong_usage(['--port'],                  qr/--port/);
wrong_usage([ '--port', 'http' ],        qr/--port/, qr/http/);
wrong_usage([ '--port', '65536' ],       qr/--port/, qr/65536/);
wrong_usage(['-p=5'],                    qr/=5/);
wrong_usage([ '--listen', 'nowhere' ],   qr/--listen/, qr/nowhere/);
wrong_usage([ '--user', 'ann' ],         qr/--user/);
wrong_usage([ '--workers', '0' ],        qr/--workers/);
wrong_usage([ '--bulk-workers', 'two' ], qr/--bulk-workers/, qr/two/);
wrong_usage([ '--lease', '10x' ],        qr/--lease/, qr/10x/);
wrong_usage([ '--max-blob-size', '1Z' ], qr/--max-blob-size/, qr/1Z/);
wrong_usage([ '--max-tags', 'many' ],      qr/--max-tags/, qr/many/);
wrong_usage([ '--max-uploads', '-1' ],     qr/--max-uploads/, qr/-1/);
wrong_usage([ '--cors', 'ui.example.com' ], qr/--cors/, qr/https:/);
wrong_usage([ '--immutable', 'a:b:c' ],   qr/--immutable a:b:c: b:c: no tag can match it/);
wrong_usage([ '--immutable', '../x:v1' ], qr/--immutable/, qr/[.][.]\/x: no repository can match it/);
wrong_usage([ '--quota', '../x 1G' ],     qr/--quota/, qr/[.][.]\/x: no repository can match it/);
wrong_usage([ '--log-level', 'loud' ],   qr/--log-level/, qr/loud/);
wrong_usage([ '--tls-cert', '/nowhere/a.crt' ], qr/--tls-key/);
wrong_usage([ '--tls-port', '0' ],       qr/--tls-cert/);
wrong_usage(['unheard-of'],              qr/unheard-of/);

{
    my $tmp = tempdir();
    spew("$tmp/a.conf", "# fine\nlog-level=info\ncolour=blue\n");
    wrong_usage([ '--config', "$tmp/a.conf" ], qr/\Q$tmp\E\/a\.conf/, qr/\b3\b/, qr/colour/);
    spew("$tmp/b.conf", "workers=many\n");
    wrong_usage([ '--config', "$tmp/b.conf" ], qr/\Q$tmp\E\/b\.conf/, qr/\b1\b/, qr/many/);
    wrong_usage([ '--config', "$tmp/none.conf" ], qr/\Q$tmp\E\/none\.conf/);

    # A line, and the mistake that is told. A value in quotes would be a strange directory.
    my @mistakes = (
        [ 'dir = "/srv/registry"',       qr/line 2: dir: there are no quotes/ ],
        [ q{port = '5000'},              qr/line 2: port: there are no quotes/ ],
        [ 'dir = "/srv/registry" # data', qr/line 2: dir: there are no quotes/ ],
        [ '"port = 5000"',               qr/line 2: .*there are no quotes/ ],
        [ 'user = "ann:secret"',         qr/line 2: user: there are no quotes/ ],
        [ 'port 5000',                   qr/line 2: unknown option port: put an =/ ],
        [ 'port: 5000',                  qr/line 2: unknown option port: put an =/ ],
        [ 'user ann:secret',             qr/line 2: unknown option user: put an =/ ],
        [ '  # the port',                qr/line 2: .*a comment begins in the first column/ ],
        [ '; the port',                  qr/line 2: .*a comment begins with #/ ],
        [ '--port = 5000',               qr/line 2: .*leave out the dashes/ ],
        [ '[server]',                    qr/line 2: .*no sections/ ],
        [ 'port = 5000 # of the server', qr/line 2: port .*# in a value belongs to it/ ],
        [ 'workers =',                   qr/line 2: workers: the value is empty/ ],
    );
    for my $mistake (@mistakes) {
        spew("$tmp/c.conf", "# the first line\n$mistake->[0]\n");
        my $ran = Registry->try([ @HERE, '--config', "$tmp/c.conf" ], cwd => $tmp);
        is($ran->{exit}, 2, "$mistake->[0]: is refused");
        like($ran->{err}, $mistake->[1], '... with the mistake');
        unlike($ran->{err}, qr/secret/, '... and no password');
        ok(!-e "$tmp/db" && !-e "$tmp/\"", '... and nothing was made');
    }
}

# ---- the port ----

{
    my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 5);
    my $port  = $taken->sockport;
    my $dir   = tempdir() . '/data';
    refused('a port in use', 1, [ '--listen', '127.0.0.1', '-p', $port, '-d', $dir ], [ qr/\b$port\b/, qr/in use/i ]);
    is_deeply([ processes_below($dir) ], [], '... and nothing is left');
}

# ---- the directory ----

{
    my $tmp = tempdir();
    spew("$tmp/file", 'x');
    refused('a file instead of a directory', 1, [ @HERE, '--dir', "$tmp/file" ], [qr/\Q$tmp\E\/file/]);
    refused('a directory below a file', 1, [ @HERE, '--dir', "$tmp/file/data" ], [qr/\Q$tmp\E\/file/]);
}

# ---- the hooks ----

{
    my $tmp = tempdir();
    spew("$tmp/file", "#!/bin/sh\n");
    chmod 0755, "$tmp/file";
    refused('a directory of hooks that is not there', 1, [ @HERE, '--dir', "$tmp/data", '--hooks', "$tmp/none" ],
        [qr{--hooks.*\Q$tmp\E/none.*No such file.*make it}]);
    refused('a file as the directory of hooks', 1, [ @HERE, '--dir', "$tmp/data", '--hooks', "$tmp/file" ], [qr{--hooks.*\Q$tmp\E/file.*Not a directory}]);
    SKIP: {
        skip 'only root becomes another user', 1 if !is_root();
        mkdir "$tmp/closed", 0700;
        refused('hooks that the registry\'s user may not see', 1, [ @HERE, '--dir', "$tmp/data", '--hooks', "$tmp/closed" ],
            [qr{--hooks.*\Q$tmp\E/closed.*Permission denied.*let this user in}]);
    }
}

my @NOBODY = is_root() ? ('setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups') : ();
my @WWW = is_root() ? ('setpriv', '--reuid=www-data', '--regid=www-data', '--clear-groups') : ();

sub program_for_all () {
    my $tmp = tempdir();
    run([ 'cp', Registry->program, "$tmp/program" ]);
    chmod 0755, "$tmp/program";
    return "$tmp/program";
}

SKIP: {
    skip 'needs setpriv', 1 if is_root() && !find_program('setpriv');
    my $dir = tempdir() . '/data';
    mkdir $dir;
    chmod 0555, $dir;
    refused('a directory that one may not write to', 1, [ @HERE, '--dir', $dir ], [qr/\Q$dir\E/],
        prefix => \@NOBODY, program => program_for_all());
    chmod 0755, $dir;
}

SKIP: {
    skip 'only root can give directories away', 2 if !is_root();
    my $dir = tempdir() . '/data';
    mkdir $_ for $dir, "$dir/db";
    chown scalar(getpwnam 'nobody'), -1, "$dir/db";
    refused("somebody else's directory, for root", 1, [ @HERE, '--dir', $dir, '--run-as', 'www-data' ],
        [ qr/\Q$dir\E|\bdb\b/, qr/nobody/, qr/www-data/ ]);

    $dir = tempdir() . '/data';
    mkdir $_ for $dir, "$dir/layers";
    chown scalar(getpwnam 'nobody'),   -1, $dir;
    chown scalar(getpwnam 'www-data'), -1, "$dir/layers";
    refused("somebody else's directory, for a user", 1, [ @HERE, '--dir', $dir ],
        [ qr/\Q$dir\E|\blayers\b/, qr/nobody/, qr/www-data/ ],
        prefix => \@NOBODY, program => program_for_all());

    # A registry that nobody made, closed to others or only its db/.
    $dir = tempdir() . '/data';
    chmod 0755, $dir =~ s{/data$}{}r;
    mkdir $_ for $dir, "$dir/db";
    spew("$dir/db/format", "docker-registry-server store, format 1\n");
    chown scalar(getpwnam 'nobody'), -1, $dir, "$dir/db", "$dir/db/format";
    chmod 0700, "$dir/db";
    for my $mode (0700, 0755) {
        chmod $mode, $dir;
        my $how = sprintf 'another user\'s registry with mode %o', $mode;
        refused("$how, for root", 1, [ @HERE, '--dir', $dir ],
            [qr/\Q$dir\E\S* belongs to nobody, and this runs as www-data: run it with --run-as nobody$/]);
        for my $command ([@HERE], ['hooks']) {
            refused("$how, for a third one", 1, [ @$command, '--dir', $dir ],
                [qr/\Q$dir\E\S* belongs to nobody, and this runs as www-data: run it as nobody$/], prefix => \@WWW, program => program_for_all());
        }
    }
    chown 0, -1, $dir, "$dir/db";
    spew("$dir/db/blob.db", '');
    refused('a db of root\'s', 1, [ @HERE, '--dir', $dir ],
        [qr/\bdb belongs to root, and this runs as www-data: run it with --run-as root, or give it to www-data with chown -R www-data \Q$dir\E$/]);
    chmod 0700, $dir;
    refused('a registry that root closed', 1, [ 'hooks', '--dir', $dir ],
        [qr/\Q$dir\E is closed to www-data: run this as root, or as the registry's user$/], prefix => \@WWW, program => program_for_all());
    refused('a user that there is not', 1, [ @HERE, '--dir', tempdir(), '--run-as', 'nosuchuser' ], [qr/nosuchuser/]);
}

{
    my $dir = tempdir() . '/data';
    mkdir $_ for $dir, "$dir/db", "$dir/layers";
    my %files = ('db/CURRENT' => "MANIFEST-000001\n", 'db/MANIFEST-000001' => 'x', 'db/000003.log' => 'y', 'db/LOCK' => '');
    spew("$dir/$_", $files{$_}) for keys %files;
    refused('the database of another program', 1, [ @HERE, '--dir', $dir ], [qr/\Q$dir\E|\bdb\b/]);
    my %after = map { $_ => slurp("$dir/$_") } keys %files;
    is_deeply(\%after, \%files, '... is left as it was');
    opendir my $db, "$dir/db";
    is_deeply([ sort grep { !/^\./ } readdir $db ], [ map { s{db/}{}r } sort keys %files ], '... nothing is added');
}

# What lies in a directory, and what the refusal says.
for my $case (
    [ 'a directory of docker-registry', 'docker/registry/v2/repositories/', qr/docker-registry\b.*import/ ],
    (map { [ "... from $_ on", $_, qr/docker-registry\b.*import/ ] } 'registry/v2/repositories/', 'v2/repositories/', 'repositories/'),
    [ '... whose files are named alike', 'registry/v2/repositories/',         qr/holds registry, of docker-registry/, map { "registry-$_" } 1 .. 30 ],
    [ 'an OCI layout',                  'oci-layout',                       qr/OCI layouts.*import/ ],
    [ 'a registry of OCI layouts',      'app/oci-layout',                   qr/OCI layouts.*import/ ],
    [ 'a stray file',                   'notes',                            qr/holds notes\b/ ],
    [ 'a stray directory',              'layer/',                           qr/holds layer\b/ ],
) {
    my ($name, $path, $says, @others) = @$case;
    my $dir = tempdir();
    run([ 'mkdir', '-p', "$dir/" . ($path =~ s{[^/]*$}{}r) ]);
    spew("$dir/$_", '') for @others;
    spew("$dir/$path", '{}') if $path !~ m{/$};
    my @before = sort split /\n/, run([ 'find', $dir ])->{out};
    refused($name, 1, [ @HERE, '--dir', $dir ], [ qr/\Q$dir\E/, $says ]);
    is_deeply([ sort split /\n/, run([ 'find', $dir ])->{out} ], \@before, '... and nothing is added');
}

{
    my $tmp = tempdir();
    chmod 0755, $tmp;
    mkdir "$tmp/data", 0755;
    mkdir "$tmp/data/$_" for 'lost+found', '.snapshots', 'hooks';
    my $registry = Registry->start(dir => "$tmp/data");
    is_status($registry->get('/healthz'), 200, 'the directory of a mount, with hooks, is taken');
    my $umask = umask 0022;
    my $deep  = Registry->start(dir => "$tmp/a/b/data");
    umask $umask;
    is_deeply([ map { sprintf '%o', (stat "$tmp/$_")[2] & 0777 } 'a', 'a/b', 'a/b/data' ], [ 755, 755, 750 ], 'who may not read the data can pass to it');
}

my $registry = Registry->start;
is_status($registry->push_image('a/b', '1', [ random_bytes(1000) ]), 201, 'a first server runs');
refused('a second server on the same directory', 1, [ @HERE, '--dir', $registry->dir ], [qr/\Q@{[$registry->dir]}\E/]);
is_status($registry->get('/v2/a/b/manifests/1'), 200, '... and the first one goes on');
is_status($registry->push_image('a/b', '2', [ random_bytes(1000) ]), 201, '... also with pushes');
$registry->stop;

{
    my $dir    = $registry->dir;
    my $format = slurp("$dir/db/format");
    is($format, "docker-registry-server store, format 1\n", 'the store tells its format');
    spew("$dir/db/format", "docker-registry-server store, format 2\n");
    refused('a store of a newer format', 1, [ @HERE, '--dir', $dir ], [ qr/\Q$dir\E|\bdb\b/, qr/format/, qr/\b2\b/ ]);
    is(slurp("$dir/db/format"), "docker-registry-server store, format 2\n", '... is left as it was');
    spew("$dir/db/format", $format);
    my $again = Registry->start(dir => $dir);
    is_status($again->get('/v2/a/b/manifests/2'), 200, 'put right, it is served again');
    $again->stop;
}

# ---- nginx ----

SKIP: {
    my $nginx = find_program('nginx') // '/usr/sbin/nginx';
    # as a user: root of a namespace of its own hides nginx, and becomes the user again
    my $hide   = "mount --bind /dev/null $nginx && exec ";
    my @prefix = is_root()
        ? ('unshare', '--mount', 'sh', '-c', "$hide \"\$@\"", 'sh')
        : ('unshare', '--user', '--map-root-user', '--mount', 'sh', '-c',
        "$hide unshare --user --map-user=$> --map-group=" . ($) + 0) . ' "$@"', 'sh');
    skip 'nginx cannot be hidden here (no mount namespaces)', 1 if run([ @prefix, 'true' ])->{exit};
    refused('no nginx', 1, [ @HERE, '--dir', tempdir() . '/data' ], [ qr/nginx/, qr/install/i ], prefix => \@prefix);
}

finish();
