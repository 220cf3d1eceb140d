# Exports go where they are told to, with a server and without, whole or not at all.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Process;
use Registry::Tools;
use Registry::V1;
use JSON::PP qw(decode_json encode_json);
use Test::More;
use Time::HiRes qw(time);

my $registry = Registry->start(args => [ '--lease', '1s', '--history-keep', '0', '--gc-interval', '1s' ], expected => qr/was stopped/);
my $tmp      = tempdir();
my $layer    = random_bytes(3000);
my ($config, $image) = $registry->image_of([$layer]);
is_status($registry->push_image('app', '1', [$layer]), 201, 'an image');

sub export (@args) { return Registry->try([ 'export', '--dir', $registry->dir, @args ], timeout => 60) }
sub left_in ($dir) { opendir my $d, $dir or return 'nothing'; return [ sort grep { !/^\.\.?$/ } readdir $d ] }
sub commands_left () { return grep { title_of($_) =~ /^command/ } $registry->processes }

# Bytes that wait in a pipe.
sub fill_of ($pipe) {
    ioctl $pipe, 0x541b, my $n = pack 'i', 0 or die "FIONREAD: $!";
    return unpack 'i', $n;
}

# Starts one whose output is a pipe: its pid, and where to read.
sub begin (@args) {
    pipe my $from, my $to or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDOUT, '>&', $to or POSIX::_exit(126);
        open STDERR, '>', "$tmp/said" or POSIX::_exit(126);
        close $from;
        exec Registry->program, 'export', '--dir', $registry->dir, @args or POSIX::_exit(127);
    }
    return ($pid, $from);
}

my $bytes;
subtest 'files and directories' => sub {
    my $dir = tempdir();
    works(export('app:1', '-o', "$dir/x.tar"), 'into a file');
    $bytes = slurp("$dir/x.tar");
    is_deeply(left_in($dir), ['x.tar'], '... and nothing beside it');
    is((stat "$dir/x.tar")[2] & 07777, 0666 & ~umask, '... with the usual mode');
    is((stat "$dir/x.tar")[4], $>, '... and it is mine');
    spew("$dir/x.tar", 'old');
    symlink 'x.tar', "$dir/link";
    works(export('app:1', '--output', "$dir/link"), 'into a file that is there, by a symbolic link');
    ok(slurp("$dir/x.tar") eq $bytes && -l "$dir/link", '... is replaced, and the link stays');
    mkdir "$dir/empty";
    works(export('app:1', '-o', "$dir/empty"), 'into an empty directory');
    is_deeply(left_in("$dir/empty"), [qw(blobs index.json manifest.json oci-layout)], '... with all of it');
    is((stat "$dir/empty/index.json")[4], $>, '... and it is mine');
    is_refused(export('app:1', '-o', "$dir/empty"), qr/isn't empty/, 'into one that is not empty: refused');
    is(-s "$dir/empty/blobs/sha256/" . (digest($image) =~ s/.*://r), length $image, '... and what was in there stays');
    is_refused(export('app:1', '-o', "$dir/no/x.tar"), qr/No such file/, 'into a directory that is not there: refused');
    is_refused(export('app:1', '-o', "$dir/no/x/"), qr/No such file/, '... and twice so');
    mkdir "$dir/closed", 0700;
    my $ran = Registry->try([ 'export', '--dir', $registry->dir, 'app:1', '-o', 'here.tar' ], cwd => "$dir/closed");
    works($ran, 'into a directory that only I can enter, by a relative name');
    ok(slurp("$dir/closed/here.tar") eq $bytes, '... the same bytes');
    is(run([ 'sh', '-c', "$ENV{REGISTRY_SERVER} export --dir $registry->{dir} app:1 >>$dir/appended" ])->{exit}, 0, 'stdout that only appends') if $ENV{REGISTRY_SERVER};
    ok(!$ENV{REGISTRY_SERVER} || slurp("$dir/appended") eq $bytes, '... the same bytes');
    is_refused(export('app:1', '-o', '/dev/full'), qr/No space/, 'a device, which is full: refused');
};

subtest 'what is not there' => sub {
    my $dir = tempdir();
    my @refused = (
        [ ['no'],         qr/repository no/,            'a repository' ],
        [ ['app:2'],      qr/repository app has no tag 2/, 'a tag' ],
        [ [ 'app@' . digest('x') ], qr/app has no manifest sha256:/, 'a digest' ],
        [ [ 'app:1', 'app:2' ], qr/no tag 2/, 'one of two' ],
    );
    for my $case (@refused) {
        my ($names, $pattern, $what) = @$case;
        my $ran = export(@$names, '-o', "$dir/x.tar");
        is_refused($ran, $pattern, $what);
        is($ran->{exit}, 1, '... exit 1');
        is_refused(export(@$names, '-o', "$dir/y/"), $pattern, '... nor as a directory');
        is(export(@$names)->{out}, '', '... not one byte on stdout');
    }
    is_deeply(left_in($dir), [], 'and nothing is left');
    is(export(@$_)->{exit}, 2, "wrong usage: @$_") for [], ['App:1'], ['app:'], ['app@1'], [ 'app:1', '--json' ], [ 'app:1', '-o' ];
    is(Registry->try([ 'hooks', '--dir', $registry->dir, '-o', 'x' ])->{exit}, 2, '... and -o elsewhere');

    my $v1 = Registry::V1->new($registry);
    my $id = sprintf '%064x', 77;
    my $odd = { id => $id, json => qq({"id":"$id"}), layer => 'this is no tar' };
    $odd->{payload} = Registry::V1::payload_of($odd->{json}, $odd->{layer});
    $v1->push_images('old', '1', $odd);
    is_refused(export('old:1'), qr/first API/, 'an image of the first API that can not be converted');
};

subtest 'terminals' => sub {
    plan skip_all => 'script is not installed' if !find_program('script');
    my $command = join ' ', Registry->program, 'export', 'app:1', '--dir', $registry->dir;
    my $ran     = run([ 'script', '-qec', $command, '/dev/null' ], cwd => tempdir());
    is_refused($ran, qr/--output/, 'a terminal gets no tar');
    is($ran->{exit}, 2, '... exit 2');
    $ran = run([ 'script', '-qec', "$command -o $tmp/terminal.tar", '/dev/null' ], cwd => tempdir());
    works($ran, 'a file, from a terminal');
    like($ran->{out}, qr/exporting: \S+ \w+ of 3\.6 kB/, '... which sees how far it is');
    is(export('app:1', '-o', "$tmp/quiet.tar")->{err}, '', 'and nobody else does');
};

# Two layers; the large one, which fills a pipe, is sent first.
sub two_layers () {
    my ($large, $small) = (random_bytes(2_000_000), random_bytes(1000));
    $small = random_bytes(1000) while digest($small) lt digest($large);
    return ($large, $small);
}

subtest 'deleted in the middle' => sub {
    my ($large, $small) = two_layers();
    is_status($registry->push_image('gone', '1', [ $large, $small ]), 201, 'an image');
    my (undef, $manifest) = $registry->image_of([ $large, $small ]);
    my ($pid, $from) = begin('gone:1');
    read $from, my $first, 50_000;
    is_status($registry->delete('/v2/gone/manifests/' . digest($manifest)), 202, 'it is deleted while it is exported');
    ok(wait_for(20, sub { $registry->get('/v2/gone/blobs/' . digest($small))->status == 404 }), '... and collected');
    local $/;
    my $rest = <$from>;
    waitpid $pid, 0;
    is($? >> 8, 1, 'the export fails');
    like(slurp("$tmp/said"), qr/was deleted/, '... and says why');
    unlike($first . $rest, qr/index\.json/, '... and looks like nothing whole');
};

subtest 'interrupted' => sub {
    my ($large, $small) = two_layers();
    is_status($registry->push_image('stay', '1', [ $large, $small ]), 201, 'an image');
    my ($pid, $from) = begin('stay:1');
    read $from, my $first, 50_000;
    is(scalar commands_left(), 1, 'the server works for it');
    kill 'INT', $pid;
    waitpid $pid, 0;
    ok(wait_for(10, sub { !commands_left() }), '... and stops when it has gone');
    close $from;

    # The same in the middle of a manifest that fills the pipe.
    my (undef, $manifest) = $registry->image_of([$layer]);
    $manifest = encode_json({ %{ decode_json($manifest) }, annotations => { text => 'x' x 1_000_000 } });
    is_status($registry->put_manifest('app', 'long', $manifest), 201, 'a long manifest');
    ($pid, $from) = begin('app:long');
    ok(wait_for(10, sub { commands_left() == 1 && fill_of($from) > 30_000 }), '... fills the pipe');
    kill 'INT', $pid;
    waitpid $pid, 0;
    ok(wait_for(10, sub { !commands_left() }), '... and its export stops nevertheless');
    close $from;

    # Somebody who waits for a server that doesn't answer.
    my $dir = tempdir();
    mkdir "$dir/kept";
    for my $target ('x.tar', 'new/', 'kept') {
        kill 'STOP', $registry->pid;
        ($pid, $from) = begin('stay:1', '-o', "$dir/$target");
        ok(wait_for(10, sub { $target eq 'kept' ? scalar(() = children_of($pid)) : @{ left_in($dir) } > 1 }), "$target: it has begun");
        kill 'TERM', $pid;
        waitpid $pid, 0;
        is($? >> 8, 1, '... and was interrupted');
        kill 'CONT', $registry->pid;
        is_deeply([ left_in($dir), left_in("$dir/kept") ], [ ['kept'], [] ], '... and left nothing');
        close $from;
    }
    ok(wait_for(10, sub { !commands_left() }), 'nobody works for them any more');
    works(export('stay:1', '-o', "$dir/x.tar"), 'and it can be exported');
};

subtest 'two exports into one directory' => sub {
    my $dir = tempdir();
    mkdir "$dir/x";
    kill 'STOP', $registry->pid;
    my ($pid, $from) = begin('stay:1', '-o', "$dir/x");
    ok(wait_for(10, sub { scalar(() = children_of($pid)) }), 'one has begun, and has written nothing yet');
    is_refused(export('stay:1', '-o', "$dir/x"), qr/another export writes/, 'the other is refused');
    kill 'CONT', $registry->pid;
    waitpid $pid, 0;
    is($?, 0, '... and the first goes on');
    is_deeply(left_in("$dir/x"), [qw(blobs index.json manifest.json oci-layout)], '... and is whole');
    close $from;
};

# What another user plants in the way of root.
subtest 'places of another user' => sub {
    plan skip_all => 'only root can be another user' if !is_root();
    my $nobody = getpwnam 'nobody';
    my $as     = sub ($code) {
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            POSIX::setuid($nobody);
            $code->();
            POSIX::_exit(0);
        }
        return $pid;
    };
    my $victim = tempdir();
    my $open   = tempdir();
    spew("$victim/file", 'of root');
    chmod 01777, $open;
    chmod 0755, $victim;
    waitpid $as->(sub { symlink "$victim/file", "$open/x.tar" }), 0;
  SKIP: {
        skip 'this kernel is told not to protect links', 2 if slurp('/proc/sys/fs/protected_symlinks') ne "1\n";
        is_refused(export('app:1', '-o', "$open/x.tar"), qr/denied/, 'a link in a directory for all is not followed');
        is(slurp("$victim/file"), 'of root', '... and its target stays');
    }

    # He exchanges the directory that the export makes in his, as soon as it is there.
    my $other  = Registry->start;    # with the usual lease, which outlasts a push of many layers
    my @layers = map { random_bytes(20_000) } 1 .. 40;
    is_status($other->push_image('many', '1', \@layers), 201, 'an image of many layers');
    my ($his, $parent) = (tempdir(), $$);
    chown $nobody, -1, $his;
    mkdir "$victim/sha256";
    my $pid = $as->(sub {
        1 until getppid != $parent || -e "$his/blobs/sha256";
        rename "$his/blobs", "$his/was";
        symlink $victim, "$his/blobs";
    });
    Registry->try([ 'export', '--dir', $other->dir, 'many:1', '-o', $his ], timeout => 60);
    $other->stop;
    waitpid $pid, 0;
    ok(-l "$his/blobs", 'the owner of a directory exchanges a name in it');
    is_deeply([ left_in($victim), left_in("$victim/sha256") ], [ [ 'file', 'sha256' ], [] ], '... and nothing is made behind his link');
};

subtest 'a tag that moves' => sub {
    my @images = map { my @layers = (random_bytes(1000)); [ $registry->image_of(\@layers), @layers ] } 1, 2;
    for my $one (@images) {
        $registry->push_blob('moves', $_) for $one->[0], $one->[2];
    }
    $registry->put_manifest('moves', '1', $images[0][1]);
    my $parent = $$;
    my $pid    = fork // die "fork: $!";
    if ($pid == 0) {
        for (my $i = 0; getppid == $parent; $i++) {
            $registry->put_manifest('moves', '1', $images[ $i % 2 ][1]);
        }
        POSIX::_exit(0);
    }
    my (%seen, @bad);
    my $end = time + 20;
    for (my $i = 0; $i < 12 || (keys %seen < 2 && time < $end); $i++) {
        my $dir = tempdir();
        my $ran = export('moves', '-o', "$dir/x/");
        push @bad, "$ran->{err}" if $ran->{exit};
        my $entries = decode_json(slurp("$dir/x/index.json"))->{manifests};
        my ($one) = grep { digest($_->[1]) eq $entries->[0]{digest} } @images;
        push @bad, 'other blobs' if join(' ', sort map { digest($_) =~ s/.*://r } @$one) ne join(' ', @{ left_in("$dir/x/blobs/sha256") });
        $seen{ $entries->[0]{digest} } = 1;
    }
    kill 'KILL', $pid;
    waitpid $pid, 0;
    is_deeply(\@bad, [], 'each export is one of both images, whole');
    is(scalar keys %seen, 2, '... now this one, now the other');
};

subtest 'without a server' => sub {
    $registry->stop;
    my $ran = export('app:1');
    works($ran, 'export');
    ok($ran->{out} eq $bytes, '... the same bytes as with one');
    my $dir = tempdir();
    mkdir "$dir/closed", 0700;
    works(Registry->try([ 'export', '--dir', $registry->dir, 'app:1', '-o', 'here.tar' ], cwd => "$dir/closed"), 'into a directory that only I can enter');
    ok(slurp("$dir/closed/here.tar") eq $bytes, '... the same bytes');
    is((stat "$dir/closed/here.tar")[4], $>, '... and it is mine');
    works(Registry->try([ 'export', '--dir', $registry->dir, 'app:1', '-o', './' ], cwd => tempdir()), 'into the current directory');
    for my $target ('x.tar', 'new/') {
        $ran = Registry->try([ 'export', '--dir', $registry->dir, 'stay:1', '-o', "$dir/$target" ], prefix => [ 'prlimit', '--fsize=100000' ]);
        is($ran->{exit}, 1, "a limit on the size of files: $target fails");
        is_deeply(left_in($dir), ['closed'], '... and nothing is left');
    }
    $ran = Registry->try([ 'export', '--dir', tempdir(), 'app:1' ]);
    is($ran->{exit}, 1, 'a directory without a registry');
    is($ran->{out}, '', '... not one byte');
};
finish();
