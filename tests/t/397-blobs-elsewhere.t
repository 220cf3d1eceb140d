# --blobs: the blobs are in a directory on another file system, everything works with it, and a directory that has other
# blobs, or none because it isn't mounted, is refused.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Tools;
use File::Temp ();
use Test::More;

# Another file system, if tempdir() isn't there as well.
my @places;
sub elsewhere () {
    my $place = File::Temp::tempdir('registry-test-XXXXXX', DIR => '/dev/shm', CLEANUP => 1);
    chown((getpwnam 'www-data')[ 2, 3 ], $place) if is_root();
    return $place;
}
skip_or_fail('/dev/shm is no file system of its own') if !-w '/dev/shm' || (stat '/dev/shm')[0] == (stat tempdir())[0];

my @QUICK = ('--lease', '1s', '--gc-interval', '1s', '--history-keep', '0s');
my @as    = is_root() ? ('--run-as', 'www-data') : ();
my $blobs = elsewhere();

sub command (@args) { return Registry->try(\@args, timeout => 60) }
sub blob_files ($place, $bytes) { my ($hex) = digest($bytes) =~ /:(.*)/; my @files = glob "$place/sha256/" . substr($hex, 0, 2) . "/$hex.*"; return @files }
sub refuses ($args, $pattern, $name) {
    my $ran = command('--listen', '127.0.0.1', '--port', '0', @$args);
    is($ran->{exit}, 1, $name);
    my @lines = grep { !/level=info/ } split /\n/, $ran->{err};
    is(scalar(@lines), 1, '... in one line') or diag($ran->{err});
    like($lines[0] // '', $pattern, '... that says why');
    return;
}

my $registry = Registry->start(args => [ '--blobs', $blobs, @QUICK ]);
my $dir      = $registry->dir;
my %layer    = map { $_ => random_bytes(300_000) } qw(patch put post);

subtest 'push and pull' => sub {
    for my $way (sort keys %layer) {
        is_status($registry->push_image('team/app', $way, [ $layer{$way} ], way => $way), 201, "an image by $way");
        is(scalar(blob_files($blobs, $layer{$way})), 1, '... its layer is in the other directory');
        is_blob($registry, 'team/app', $layer{$way}, '... and is pulled');
    }
    is_status($registry->head('/v2/team/app/blobs/' . digest($layer{put})), 200, 'HEAD');
    my $range = $registry->get('/v2/team/app/blobs/' . digest($layer{put}), headers => { Range => 'bytes=1000-1999' });
    is_status($range, 206, 'a range');
    is($range->content, substr($layer{put}, 1000, 1000), '... has its bytes');
    my $large = $registry->push_image('team/app', 'large', [ $layer{put} ], note => 'x' x 100_000);
    is_status($large, 201, 'an image with a manifest that is a file');
    is(digest($registry->get('/v2/team/app/manifests/large')->content), $large->header('Docker-Content-Digest'), '... is pulled');
    is_deeply([ $registry->files('layers') ], [], 'the data directory has no blob');
    is_tidy($registry);
    is_deeply([ glob "$blobs/tmp/*" ], [], 'and nothing is left in tmp/');
    ok(wait_for(20, sub { $registry->files('index') >= 3 }), 'the layers are indexed');
    my $mode = (stat((blob_files($blobs, $layer{put}))[0]))[2] & 07777;
    is(sprintf('%04o', $mode), '0440', 'nobody may change a blob');
};

subtest 'commands beside the server' => sub {
    works(command('fsck', '--dir', $dir), 'fsck');
    my $tar = tempdir() . '/app.tar';
    works(command('export', 'team/app:put', '--dir', $dir, '--output', $tar), 'export');
    works(command('import', $tar, '--dir', $dir, '--prefix', 'back'), 'import');
    my ($name) = grep { m{^back/} } @{ $registry->get('/v2/_catalog')->json->{repositories} };
    is_blob($registry, $name // 'back', $layer{put}, '... has its layer');
    is_status($registry->push_image('gone/app', 'v1', [ my $gone = random_bytes(5000) ]), 201, 'another image');
    works(command('repo', 'rm', 'gone/app', '--now', '--dir', $dir), '... is removed');
    works(command('gc', '--dir', $dir), 'gc');
    ok(wait_for(90, sub { !blob_files($blobs, $gone) }), '... and its file goes');
};

my $backups = tempdir();
chmod 0755, $backups;
subtest 'backup and restore' => sub {
    works(command('backup', $backups, '--dir', $dir), 'a backup');
    my ($backup) = glob "$backups/*";
    ok(scalar(my @saved = glob "$backup/layers/sha256/*/*"), '... has the blobs');
    works(command('fsck', '--dir', $backup, '--blobs', $blobs), '... and is looked at by itself');
    for my $there (elsewhere(), undef) {
        my $name  = defined $there ? 'into another directory' : 'into the data directory';
        my $to    = tempdir() . '/restored';
        my @blobs = defined $there ? ('--blobs', $there) : ();
        works(command('restore', $backup, '--dir', $to, @as, @blobs), "restored $name");
        my $restored = Registry->start(dir => $to, args => \@blobs);
        is_blob($restored, 'team/app', $layer{$_}, "... with the layer by $_") for sort keys %layer;
        is_sound($restored);
        $restored->stop;
    }
    is_refused(command('restore', $backup, '--dir', tempdir() . '/x', @as, '--blobs', do { my $p = elsewhere(); spew("$p/strange", ''); $p }),
        qr/holds strange/, 'a directory with something else in it is refused');
};

subtest 'a damaged blob' => sub {
    my ($file) = blob_files($blobs, $layer{post});
    flip($file, 100);
    my $ran = command('fsck', '--repair', '--rate', '0', '--dir', $dir);
    is($ran->{exit}, 1, 'fsck finds it');
    ok(-e "$blobs/quarantine/" . ($file =~ s{.*/}{}r), '... and puts it into the quarantine there');
    is_status($registry->get('/v2/team/app/blobs/' . digest($layer{post})), 404, '... from where it is not pulled');
    is_status($registry->push_blob('team/app', $layer{post}), 201, 'a push of it');
    is_blob($registry, 'team/app', $layer{post}, '... brings it back');
};
$registry->stop;

subtest 'what a crash leaves' => sub {
    spew("$blobs/tmp/$_", 'part') for qw(old new);
    utime time - 90_000, time - 90_000, "$blobs/tmp/old";
    my $again = Registry->start(dir => $dir, args => [ '--blobs', $blobs, @QUICK ]);
    works(command('gc', '--dir', $dir), 'gc');
    ok(!-e "$blobs/tmp/old", 'a file that nobody has written to for a day is removed');
    ok(-e "$blobs/tmp/new", '... and a newer one stays');
    is_sound($again);
    $again->stop;
};

subtest 'the directory and the database belong together' => sub {
    my $other = elsewhere();
    refuses([ '--dir', $dir ], qr/aren't in its data directory: say with --blobs/, 'without --blobs the start is refused');
    refuses([ '--dir', $dir, '--blobs', $other ], qr/no registry-id.*is it mounted/, 'so it is with an empty directory');
    refuses([ '--dir', tempdir() . '/new', '--blobs', $blobs ], qr/another registry/, 'another registry with this directory is refused');
    refuses([ '--dir', $dir, '--blobs', "$other/none" ], qr/doesn't exist/, 'a directory that is missing is refused');
    is_refused(command('fsck', '--dir', $dir), qr/say with --blobs/, 'fsck without --blobs is refused');
    is_refused(command('fsck', '--repair', '--dir', $dir, '--blobs', $other), qr/is it mounted/, '... and with a wrong one');
    is_refused(command('gc', '--dir', $dir, '--blobs', $other), qr/is it mounted/, '... and gc');
    is_deeply([ glob "$other/*" ], [], 'and nothing was made in it');
    if (is_root()) {
        chown 1, 1, $other;
        chmod 0755, $other;
        refuses([ '--dir', $dir, '--blobs', $other ], qr/belongs to another user/, 'a directory of another user is refused');
        is_refused(command('check', '--dir', $dir, '--blobs', $other, '--port', '0'), qr/fault/, '... by check, too');
    }
    my $alone = Registry->start(dir => $dir, args => [ '--blobs', $blobs, '--read-only' ]);
    is_blob($alone, 'team/app', $layer{put}, 'a server that is read-only serves them');
    $alone->stop;
};

subtest 'moving in and out' => sub {
    my $inside = Registry->start(args => \@QUICK);
    my $home   = $inside->dir;
    is_status($inside->push_image('old/app', 'v1', [ my $old = random_bytes(50_000) ]), 201, 'an image in the data directory');
    $inside->stop;
    my $there = elsewhere();
    refuses([ '--dir', $home, '--blobs', $there ], qr/doesn't have sha256:.*copy the files/, '--blobs with blobs that are not there is refused');
    works(run([ 'cp', '-a', "$home/layers/.", $there ]), 'they are copied');
    my $moved = Registry->start(dir => $home, args => [ '--blobs', $there, @QUICK ]);
    is_blob($moved, 'old/app', $old, '... and are there');
    is_status($moved->push_image('old/app', 'v2', [ my $new = random_bytes(50_000) ]), 201, 'another image');
    $moved->stop;
    works(run([ 'cp', '-a', "$there/.", "$home/layers" ]), 'they are copied back');
    my $back = Registry->start(dir => $home, args => \@QUICK);
    is_blob($back, 'old/app', $_, '... and are there') for $old, $new;
    is_sound($back);
    is_status($back->push_image('old/app', 'v3', [ my $newer = random_bytes(50_000) ]), 201, 'one more');
    $back->stop;
    refuses([ '--dir', $home, '--blobs', $there ], qr/doesn't have sha256:.*copy the files/, 'another move out needs another copy');
    works(run([ 'cp', '-a', "$home/layers/.", $there ]), '... which is made');
    $moved = Registry->start(dir => $home, args => [ '--blobs', $there, @QUICK ]);
    is_blob($moved, 'old/app', $newer, '... and has all');
    $moved->stop;
    refuses([ '--dir', $home ], qr/aren't in its data directory: say with --blobs/, 'after another move out, the old files are not taken for the blobs');
};

subtest 'an existing nginx' => sub {
    my $ran = command('print-nginx-conf', '--dir', $dir, '--fastcgi', tempdir(), '--blobs', "$blobs/");
    works($ran, 'print-nginx-conf');
    like($ran->{out}, qr{^\s*alias \Q$blobs\E/;$}m, '... serves from there');
};

finish();
