# A backup has everything, costs only what is new, and makes the same registry again, or is refused.
use v5.36;
use Registry limit => 150;
use Registry::Checks;
use Registry::Tools;
use Fcntl qw(:flock O_RDWR);
use JSON::PP qw(decode_json);
use Test::More;

my $registry = Registry->start(args => [ '--lease', '1s', '--gc-interval', '1s', '--history-keep', '0s' ], expected => qr/not a known|damaged/);
my $tmp      = tempdir();
my $backups  = "$tmp/backups";

sub command (@args)  { return Registry->try(\@args, timeout => 60) }
sub backup (@args)   { return command('backup', $backups, '--dir', $registry->dir, @args) }
sub restore ($from, $to) { return command('restore', $from, '--dir', $to, is_root() ? ('--run-as', 'www-data') : ()) }
sub names ($dir)     { opendir my $d, $dir or return (); return sort grep { !/^\.\.?$/ } readdir $d }
sub blocks ($dir)    { return (run([ 'du', '-s', '--block-size=1', $dir ])->{out} =~ /^(\d+)/)[0] }
sub files ($dir)     { return map { chomp; $_ } split /\n/, run([ 'find', $dir, '-type', 'f' ])->{out} }

my %pushed;
sub push_some ($repository, @tags) {
    for my $tag (@tags) {
        my $layer = random_bytes(50_000);
        is_status($registry->push_image($repository, $tag, [$layer]), 201, "$repository:$tag");
        $pushed{"$repository:$tag"} = $layer;
    }
}

# All tags with what they name, and each blob verified.
sub contents ($client) {
    my %all;
    for my $repository (@{ $client->get('/v2/_catalog')->json->{repositories} }) {
        for my $tag (@{ $client->get("/v2/$repository/tags/list")->json->{tags} }) {
            my $manifest = $client->get("/v2/$repository/manifests/$tag");
            $all{"$repository:$tag"} = $manifest->header('Docker-Content-Digest');
            for my $part ($manifest->json->{config}, @{ $manifest->json->{layers} }) {
                my $blob = $client->get("/v2/$repository/blobs/$part->{digest}");
                return { bad => "$repository:$tag $part->{digest}: " . $blob->status } if digest($blob->content) ne $part->{digest};
            }
        }
    }
    return \%all;
}

my ($first, $contents);
subtest 'a backup beside the server' => sub {
    push_some('team/app', 1 .. 8);
    $contents = contents($registry);
    ok(wait_for(20, sub { $registry->files('index') >= 8 }), 'all layers are indexed');
    mkdir $registry->dir . '/hooks';
    spew($registry->dir . '/hooks/tag', "#!/bin/sh\n");
    chmod 0755, $registry->dir . '/hooks/tag';
    my $ran = backup();
    works($ran, 'a backup');
    like($ran->{out}, qr/^backup (\d{8}T\d{6}Z): 16 blobs \(\S+ kB\), 16 of them new/, '... and says what it did');
    is($ran->{err}, '', '... without progress in a pipe');
    ($first) = names($backups);
    is_deeply([ grep { $_ ne 'index' } names("$backups/$first") ], [qw(auth backup.json db hooks layers)], 'all that has to be restored');
    works(command('fsck', '--dir', "$backups/$first"), 'fsck finds nothing in it');
    ok(!-e "$backups/$first/db/lock", '... and changes nothing');
    is((stat "$backups/$first")[2] & 0777, 0700, 'it is closed to others');
    is((stat "$backups/$first/auth/token.key")[2] & 0777, 0600, '... and so is the key in it');
    is((stat $_)[4], $>, '... it is mine') for "$backups/$first", "$backups/$first/db/tag";
    is_deeply([ names($registry->dir . '/snapshots') ], ['logs'], 'nothing is left in the data directory');
};

subtest 'restored' => sub {
    works(restore($backups, "$tmp/new"), 'a restore of the newest');
    works(command('fsck', '--dir', "$tmp/new"), 'fsck finds nothing in it');
    is((stat "$tmp/new/hooks/tag")[2] & 0777, 0755, 'hooks can be run');
    is((stat "$tmp/new/db/tag")[4], scalar getpwnam('www-data'), 'the files belong to the server') if is_root();
    my $copy = Registry->start(dir => "$tmp/new");
    is_deeply(contents($copy), $contents, 'each tag pulls');
    is_status($copy->push_image('team/app', 'more', [ random_bytes(1000) ]), 201, '... and it takes pushes');
    ok(slurp("$tmp/new/auth/token.key") eq slurp($registry->dir . '/auth/token.key'), 'tokens stay valid');
    $copy->stop;
    is_refused(restore($backups, "$tmp/new"), qr/isn't empty/, 'a directory that is not empty is refused');
};

subtest 'the second costs what is new' => sub {
    my $before = blocks($backups);
    works(backup(), 'a second one');
    cmp_ok(blocks($backups) - $before, '<', 350_000, '... needs little');
    push_some('team/app', 'big');
    $before = blocks($backups);
    my $ran = backup();
    like($ran->{out}, qr/2 of them new \(50\.\d kB\)/, 'a third one has what is new');
    is(scalar(() = names($backups)), 3, 'three backups');
    my ($blob) = map { s{.*/layers/}{}r } files("$backups/$first/layers");
    is((stat "$backups/$first/layers/$blob")[3], 3, '... that share their blobs');
    ok((stat "$backups/$first/layers/$blob")[1] != (stat $registry->dir . "/layers/$blob")[1], '... but not with the registry');
    my @lines = map { decode_json($_) } split /\n/, command('backup', '--list', $backups, '--json')->{out};
    is_deeply([ map { "$_->{state} $_->{new_blobs}" } @lines ], [ 'complete 16', 'complete 0', 'complete 2' ], '--list --json');
    like(command('backup', '--list', $backups)->{out}, qr/^\Q$first\E\tcomplete\t16 blobs\t\S+ kB\t16 new/, '--list');
    works(restore("$backups/$first", "$tmp/first"), 'the first one');
    my $copy = Registry->start(dir => "$tmp/first");
    is_deeply(contents($copy), $contents, '... has that moment');
    $copy->stop;
    works(backup('--keep', 2), 'with --keep 2');
    is(scalar(() = names($backups)), 2, '... two stay');
    my @dead = names($backups);
    ok(!grep({ $_ eq $first } @dead), '... the newest');
    rename "$backups/$dead[-1]", "$backups/29990101T000000Z" or die;
    push_some('team/app', 'late');
    my $late = backup();
    works($late, 'after the clock was put back');
    my ($name) = $late->{out} =~ /^backup (\S+):/;
    is($name, '29990101T000001Z', '... the new one has the last name');
    is((names($backups))[-1], $name, '... in its directory');
    works(restore($backups, "$tmp/late"), '... and is the one that is restored');
    $copy = Registry->start(dir => "$tmp/late");
    is_status($copy->get('/v2/team/app/manifests/late'), 200, '... with what was pushed last');
    $copy->stop;
    mkdir "$backups/29990101T000005Z" or die $!;
    $late = backup('--keep', 1);
    like($late->{out}, qr/^backup 29990101T000006Z:/, '... also after one that is not complete');
    is_deeply([ names($backups) ], [ '29990101T000005Z', '29990101T000006Z' ], 'with --keep 1 the one that was just made stays');
    run([ 'rm', '-rf', map { "$backups/$_" } names($backups) ]);
    works(backup(), 'another one');
};

subtest 'what is not whole is refused' => sub {
    my ($newest) = reverse names($backups);
    my ($blob) = map { s{\Q$backups/$newest/\E}{}r } files("$backups/$newest/layers");
    my $cut  = sub ($file, $n) { chmod 0600, $file; truncate $file, $n or die "$file: $!" };
    my $flip = sub ($file) {
        chmod 0600, $file;
        my $bytes = slurp($file);
        substr($bytes, 100, 1) = chr(ord(substr $bytes, 100, 1) ^ 1);
        spew($file, $bytes);
    };
    my @cases = (
        [ 'without backup.json', qr/no complete backup/, sub ($b) { unlink "$b/backup.json" } ],
        [ 'with half of it', qr/not complete/, sub ($b) { $cut->("$b/backup.json", 500) } ],
        [ 'of a newer format', qr/newer version \(format 2/, sub ($b) { spew("$b/backup.json", slurp("$b/backup.json") =~ s/"format":1/"format":2/r) } ],
        [ 'with a path that leads out', qr/can't be used/, sub ($b) { spew("$b/backup.json", slurp("$b/backup.json") =~ s{db/tag"}{db/../../x"}r) } ],
        [ 'without a table', qr{db/tag is missing}, sub ($b) { unlink "$b/db/tag" } ],
        [ 'with a table that was cut', qr{db/tag has other contents}, sub ($b) { $cut->("$b/db/tag", 4096) } ],
        [ 'without its log', qr{db/log\.\d+ is missing}, sub ($b) { unlink glob "$b/db/log.*" } ],
        [ 'without the key', qr{auth/token.key is missing}, sub ($b) { unlink "$b/auth/token.key" } ],
        [ 'without a hook', qr{hooks/tag is missing}, sub ($b) { unlink "$b/hooks/tag" } ],
        [ 'without a blob', qr{layers/\S+ is missing}, sub ($b) { unlink "$b/$blob" } ],
        [ 'with a blob that was cut', qr{layers/\S+ has other contents}, sub ($b) { $cut->("$b/$blob", 10) } ],
        [ 'with a flipped byte in a blob', qr{layers/\S+ has other contents}, sub ($b) { $flip->("$b/$blob") } ],
        [ 'with a flipped byte in a table', qr{db/edge has other contents}, sub ($b) { $flip->("$b/db/edge") } ],
    );
    for my $case (@cases) {
        my ($what, $pattern, $damage) = @$case;
        run([ 'rm', '-rf', "$tmp/cut", "$tmp/to" ]);
        run([ 'cp', '-a', "$backups/$newest", "$tmp/cut" ]);
        $damage->("$tmp/cut");
        my $ran = restore("$tmp/cut", "$tmp/to");
        is_refused($ran, $pattern, $what);
        is($ran->{exit}, 1, '... exit 1');
        is(scalar(() = $ran->{err} =~ /\n/g), 1, '... with one line');
        ok(!-e "$tmp/to/db/format", '... and there is no registry');
        my $stays = -e "$tmp/to" ? 1 : 0;
        is($ran->{err} =~ m{\(\Q$tmp/to\E is not complete: repeat the restore, or remove it\)} ? 1 : 0, $stays, '... and it says what it leaves') or diag($ran->{err});
    }
    # The last one was found in the middle, when the directory was not empty any more.
    is_refused(Registry->try([ '--dir', "$tmp/to", '--port', 0 ]), qr/restore into \S+ was not finished/, 'a server does not start there');
    works(restore("$backups/$newest", "$tmp/to"), 'a repeated restore');
    my $copy = Registry->start(dir => "$tmp/to");
    is_deeply([ sort keys %{ contents($copy) } ], [ sort keys %pushed ], '... is whole');
    $copy->stop;
    is_refused(Registry->try([ '--dir', "$backups/$newest", '--port', 0, @$_ ]), qr/is a backup: make a data directory/, 'a backup is no data directory') for [], is_root() ? [ '--run-as', 'root' ] : ();
    is_refused(command('gc', '--dir', "$backups/$newest"), qr/is a backup: make a data directory/, '... for commands, too');
    mkdir "$tmp/shelf";
    run([ 'cp', '-a', "$backups/$newest", "$tmp/shelf" ]);
    mkdir "$tmp/shelf/29990101T000000Z";
    is_refused(restore("$tmp/shelf", "$tmp/none"), qr/29990101T000000Z, is not complete: name another one, such as \S+\Q$newest\E/, 'the newest is not complete');
    is_refused(restore("$tmp", "$tmp/none"), qr/no complete backup/, 'a directory without backups');
    ok(!-e "$tmp/none", '... and nothing was made');
};

subtest 'one at a time' => sub {
    sysopen my $lock, $registry->dir . '/db/backup.lock', O_RDWR or die "lock: $!";
    flock $lock, LOCK_EX or die "flock: $!";
    my $before = blocks($backups);
    my @now = ('--wait', 0);
    is_refused(backup(@now), qr/^docker-registry-server: the backup \(process $$\) is running in this registry, and only one backup or snapshot is made at a time$/m, 'a second backup of the registry is refused, if it must not wait');
    ok(!grep({ !/^\d/ && $_ ne 'unfinished' } names($backups)), '... and leaves nothing odd');
    is_status($registry->delete('/v2/team/app/manifests/1'), 202, 'a tag is deleted');
    is_status($registry->delete('/v2/team/app/manifests/' . $contents->{'team/app:1'}), 202, '... and its manifest');
    my $gone = digest($pushed{'team/app:1'});
    ok(wait_for(20, sub { $registry->get("/v2/team/app/blobs/$gone")->status == 404 }), 'its layer is collected while a backup runs');
    ok(scalar $registry->blob_files($gone), '... and its file stays');
    close $lock;
    opendir my $d, $backups or die;
    open my $dir, '<', $backups or die "$backups: $!";
    flock $dir, LOCK_EX or die "flock: $!";
    is_refused(backup(@now), qr/another backup to \S+ is running \(process $$\)/, 'a second backup to the same place is refused');
    close $dir;
    works(backup(), 'then it works');
};

subtest 'no backup inside the data directory' => sub {
    my $dir = $registry->dir;
    symlink "$dir/layers", "$tmp/link" or die $!;
    for my $place ("$dir/backups", "$dir/layers/backups", "$dir/snapshots/../backups", "$tmp/link/backups", "$tmp/link") {
        is_refused(command('backup', $place, '--dir', $dir), qr/^docker-registry-server: \Q$place\E is inside the data directory/, $place);
    }
    is_refused(command('backup', $dir, '--dir', $dir), qr/is inside the data directory/, 'nor in its place');
    ok(!-e "$dir/backups" && !-e "$dir/layers/backups", 'and no directory is left');
};

subtest 'damage in the registry' => sub {
    my $file = $registry->dir . '/' . ($registry->blob_files(digest($pushed{'team/app:5'})))[0];
    my $place  = "$tmp/other";
    chmod 0600, $file;
    my $bytes = slurp($file);
    substr($bytes, 100, 1) = chr(ord(substr $bytes, 100, 1) ^ 1);
    spew($file, $bytes);
    my $ran = command('backup', $place, '--dir', $registry->dir);
    is($ran->{exit}, 1, 'a backup with a damaged blob fails');
    like($ran->{err}, qr/sha256:\S+ is damaged in the registry, and not in the backup/, '... names it');
    like(command('backup', '--list', $place)->{out}, qr/with damaged blobs/, '... but is there');
    $ran = restore($place, "$tmp/rest");
    works($ran, '... and can be restored');
    like($ran->{err}, qr/1 blob was damaged/, '... which says so');
};

subtest 'terminals' => sub {
    plan skip_all => 'script is not installed' if !find_program('script');
    my $command = join ' ', Registry->program, 'backup', "$tmp/seen", '--dir', $registry->dir;
    my $ran     = run([ 'script', '-qec', $command, '/dev/null' ], cwd => $tmp, timeout => 60);
    like($ran->{out}, qr/copying the database: 0 of 0 blobs/, 'a terminal sees how far it is');
    like($ran->{out}, qr/backup \d{8}T\d{6}Z: \d+ blobs/, "... and that it is done");
};

subtest 'without a server' => sub {
    $registry->stop;
    works(backup(), 'a backup');
    works(restore($backups, "$tmp/off"), '... is restored');
    is_refused(command('backup', $backups, '--dir', "$tmp/nothing"), qr/no registry in/, 'of no registry: refused');
    is(command(@$_)->{exit}, 2, "wrong usage: @$_") for ['backup'], [ 'backup', 'a', 'b' ], ['restore'], [ 'restore', $backups ], [ 'backup', $backups, '--keep', 'x' ];
    is_refused(command('backup', $registry->dir, '--dir', $registry->dir), qr/data directory/, 'into a data directory: refused');
};

finish();
