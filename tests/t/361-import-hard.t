# "docker-registry-server import": killed in the middle and run again, beside clients, from files that only
# root may read; and what strangers could put into the source.
use v5.36;
use Registry limit => 300;
use POSIX ();
use Registry::Checks;
use Registry::Process;
use Registry::Tools;
use Test::More;

my $TYPE = \%Registry::Client::TYPE;

sub import_of ($registry, $path, @args) { return Registry->try([ 'import', $path, '--dir', $registry->dir, @args ], timeout => 100) }

# ---- a docker-registry's directory by hand ----

sub put_file ($path, $bytes) {
    my $at = '';
    $at .= "$_/", mkdir $at for split m{/}, $path =~ s{/[^/]*$}{}r;
    return spew($path, $bytes);
}

sub blob_path ($dir, $digest) { return $dir . '/docker/registry/v2/blobs/sha256/' . substr($digest, 7, 2) . '/' . substr($digest, 7) . '/data' }
sub link_path ($dir, $repository, $what) { return "$dir/docker/registry/v2/repositories/$repository/_manifests/$what/link" }

sub put_blob ($dir, @bytes) {
    put_file(blob_path($dir, digest($_)), $_) for @bytes;
    return;
}

sub put_manifest ($dir, $repository, $document, @tags) {
    my $digest = digest($document);
    put_blob($dir, $document);
    put_file(link_path($dir, $repository, 'revisions/sha256/' . substr $digest, 7), $digest);
    put_file(link_path($dir, $repository, "tags/$_/current"), $digest) for @tags;
    return $digest;
}

# An image in a repository; its parts, the manifest last.
sub put_image ($dir, $repository, $tag, @layers) {
    my ($config, $manifest) = Registry::Client->image_of(\@layers, note => "$repository $tag");
    put_blob($dir, @layers, $config);
    put_manifest($dir, $repository, $manifest, $tag);
    return (@layers, $config, $manifest);
}

my $shared = random_bytes(300_000);
my $source = tempdir();
my %images = map { ("app-$_" => [ put_image($source, "app-$_", 'v1', $shared, random_bytes(200_000)) ]) } 1 .. 60;
my $LINE   = "imported 60 repositories, 60 tags, 121 blobs";

# Every tag has its digest, and every blob its bytes.
sub is_all_there ($registry, $name) {
    my @wrong;
    for my $repository (sort keys %images) {
        my ($manifest, @blobs) = reverse @{ $images{$repository} };
        push @wrong, $repository if $registry->get("/v2/$repository/manifests/v1")->content ne $manifest;
        push @wrong, map { "$repository " . digest($_) } grep { $registry->get("/v2/$repository/blobs/" . digest($_))->content ne $_ } @blobs;
    }
    my @files = grep { /[0-9a-f]{64}\./ } $registry->files('layers');
    # One that was linked, but not yet committed, when all was killed: the sweep takes it.
    push @wrong, scalar @files . ' files' if @files != 121 && @files != 122;
    push @wrong, $registry->files('uploads');
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok(!@wrong, $name) || diag(join "\n", splice @wrong, 0, 10);
}

# Begins an import, and comes back when some of it is done.
sub begin ($registry, $path) {
    my $before = () = $registry->files('layers');
    my $pid    = fork // die "fork: $!";
    if ($pid == 0) {
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', '/dev/null';
        { no warnings 'exec'; exec { Registry->program } 'docker-registry-server', 'import', $path, '--dir', $registry->dir }
        POSIX::_exit(127);
    }
    wait_for(30, sub { (() = $registry->files('layers')) >= $before + 5 }) or die 'nothing is imported';
    return $pid;
}

# It, and the process that reads for it.
sub helpers () { return grep { (command_of($_) // '') =~ /\bimport \Q$source\E/ } map { m{/(\d+)$} } glob '/proc/[0-9]*' }

subtest 'whoever asked is killed' => sub {
    my $registry = Registry->start;
    my $pid      = begin($registry, $source);
    kill 'KILL', $pid;
    waitpid $pid, 0;
    is($? & 127, 9, 'in the middle');
    ok(wait_for(10, sub { !grep { title_of($_) =~ /^command/ } $registry->processes }), '... its child in the server ends');
    ok(wait_for(10, sub { !helpers() }), '... and so does the one that reads the files');
    my $n   = () = $registry->files('layers');
    my $ran = import_of($registry, $source);
    works($ran, 'again');
    my ($linked, $copied) = $ran->{out} =~ /^\Q$LINE\E \((\d+) linked, (\d+) copied\)\n\z/;
    ok(defined $linked && $linked < 121 && $linked + $n >= 121, '... it goes on') || diag("$n files, then $ran->{out}");
    is($copied, 0, '... and copies nothing');
    is_all_there($registry, 'all is there');
};

subtest 'the server is killed' => sub {
    my $registry = Registry->start;
    my $pid      = begin($registry, $source);
    $registry->crash;
    waitpid $pid, 0;
    is($? >> 8, 1, 'the command says so');
    ok(wait_for(10, sub { !helpers() && !$registry->processes }), '... and nothing is left');
    my $again = Registry->start(dir => $registry->dir);
    my $ran   = import_of($again, $source);
    works($ran, 'again, with another server');
    like($ran->{out}, qr/^\Q$LINE\E \(\d+ linked, 0 copied\)\n\z/, '... all of it');
    is_all_there($again, 'all is there');
};

subtest 'stopped without a server' => sub {
    my $registry = Registry->start;
    $registry->stop;
    my $pid = begin($registry, $source);
    kill 'KILL', $pid;
    waitpid $pid, 0;
    ok(wait_for(10, sub { !helpers() }), 'the one that reads the files ends');
    my $ran = import_of($registry, $source);
    works($ran, 'again');
    like($ran->{out}, qr/^\Q$LINE\E \(\d+ linked, 0 copied\)\n\z/, '... all of it');
    my $again = Registry->start(dir => $registry->dir);
    is_all_there($again, 'all is there');
};

subtest 'the server is stopped meanwhile' => sub {
    my $registry = Registry->start;
    my $pid      = begin($registry, $source);
    $registry->stop;
    waitpid $pid, 0;
    is($? >> 8, 1, 'the command ends, and says so');
    cmp_ok($registry->seconds_to_stop, '<', 10, 'it holds up nobody');
};

subtest 'two at once, and clients' => sub {
    my $registry = Registry->start;
    my @done     = in_parallel(3, 100, sub ($i) {
        return import_of($registry, $source)->{exit} if $i < 2;
        my @bad;
        for my $n (1 .. 30) {
            my $response = $registry->push_image("mine/$n", 'v1', [ random_bytes(100) ]);
            push @bad, $response->status if $response->status != 201;
            $response = $registry->get("/v2/mine/$n/manifests/v1");
            push @bad, $response->status if $response->status != 200;
        }
        return "@bad";
    });
    is_deeply(\@done, [ 0, 0, '' ], 'all of them work');
    my @wrong = grep { $registry->get("/v2/$_/manifests/v1")->content ne $images{$_}[-1] } sort keys %images;
    is("@wrong", '', 'and all is there');
};

# ---- rights ----

subtest 'files of others' => sub {
    plan(skip_all => 'not root') if !is_root;
    my $registry = Registry->start;
    my $closed   = tempdir();
    my @open     = put_image($closed, 'a/open',   'v1', random_bytes(1000));
    my @secret   = put_image($closed, 'a/secret', 'v1', random_bytes(1000));
    my @shared   = put_image($closed, 'a/shared', 'v1', random_bytes(1000));
    my @nobody   = put_image($closed, 'a/nobody', 'v1', random_bytes(1000));
    chown +(getpwnam 'nobody')[ 2, 3 ], blob_path($closed, digest($_)) for @nobody[ 0, 1 ];
    chmod 0600, blob_path($closed, digest($_)) for @secret[ 0, 1 ];
    chmod 0664, blob_path($closed, digest($_)) for @shared[ 0, 1 ];
    chmod 0700, $closed, "$closed/docker", "$closed/docker/registry/v2/repositories";
    my $ran = import_of($registry, $closed);
    works($ran, 'root imports what only root may enter');
    is($ran->{out}, "imported 4 repositories, 4 tags, 8 blobs (2 linked, 6 copied)\n", 'only what others may read, and not write, now or ever, is linked');
    for (@open, @secret, @shared) {
        my $response = $registry->get('/v2/' . ($_ eq $open[0] || $_ eq $open[1] ? 'a/open' : $_ eq $secret[0] || $_ eq $secret[1] ? 'a/secret' : 'a/shared') . '/blobs/' . digest($_));
        is($response->content, $_, 'it can be pulled') if !/schemaVersion/;
    }
    is((stat $registry->dir . "/$_")[4], scalar getpwnam('www-data'), 'a copy is the registry\'s') for map { $registry->blob_files(digest($_)) } @nobody[ 0, 1 ];
    is((stat blob_path($closed, digest($secret[0])))[2] & 0777, 0600, 'and the source is as it was');
};

# ---- strangers ----

subtest 'what is wrong is left out, by name' => sub {
    my $registry = Registry->start;
    my $dir      = tempdir();
    my @good     = put_image($dir, 'good/one', 'v1', random_bytes(100));
    my %bad      = map { ($_ => [ put_image($dir, "bad/$_", 'v1', random_bytes(100)) ]) } qw(flipped missing manifest linked fifo directory lies loop);
    my %path     = map { ($_ => blob_path($dir, digest($bad{$_}[0]))) } keys %bad;
    spew($path{flipped}, $bad{flipped}[0] ^. ("\0" x 50 . "\1"));
    unlink $path{missing}, $path{linked}, $path{fifo}, $path{directory};
    spew(blob_path($dir, digest($bad{manifest}[-1])), $bad{manifest}[-1] . ' ');
    symlink '/etc/passwd', $path{linked};
    POSIX::mkfifo($path{fifo}, 0644);
    mkdir $path{directory};
    # A revision whose link names another manifest, and a tag that does.
    put_file(link_path($dir, 'bad/lies', 'revisions/sha256/' . substr digest($bad{lies}[-1]), 7), digest($good[-1]));
    put_file(link_path($dir, 'good/one', 'tags/nonsense/current'), 'sha256:../../../../etc/passwd');
    put_file(link_path($dir, 'good/one', 'tags/dangling/current'), digest('nothing'));
    put_file(link_path($dir, 'good/one', 'tags/-x/current'),       digest($good[-1]));
    # docker-registry was killed between the two files of a tag.
    put_file("$dir/docker/registry/v2/repositories/good/one/_manifests/tags/half/index/sha256/" . substr(digest($good[-1]), 7) . '/link', digest($good[-1]));
    # Directories that lead elsewhere.
    my $elsewhere = tempdir();
    put_image($elsewhere, 'outside', 'v1', random_bytes(100));
    symlink "$elsewhere/docker/registry/v2/repositories/outside", "$dir/docker/registry/v2/repositories/inside";
    symlink '..', "$dir/docker/registry/v2/repositories/bad/loop/again";
    spew("$dir/docker/registry/v2/repositories/file", 'x');
    put_image($dir, 'Upper', 'v1', random_bytes(100));
    # Documents that we don't take.
    my $schema1 = json_of({ schemaVersion => 1, name => 'bad/schema1', tag => 'v1', fsLayers => [], history => [] });
    put_manifest($dir, 'bad/schema1', $schema1, 'v1');
    put_manifest($dir, 'bad/text', "no JSON\n", 'v1');
    put_manifest($dir, 'bad/index', json_of({ schemaVersion => 2, mediaType => $TYPE->{index}, manifests => [ Registry::Client->descriptor('manifest', $good[-1]) ] }), 'v1');
    put_manifest($dir, 'bad/gone', json_of({ schemaVersion => 2, mediaType => $TYPE->{index}, manifests => [ Registry::Client->descriptor('manifest', 'nothing') ] }), 'v1');
    my $deep = $good[-1];
    for (1 .. 12) {
        put_manifest($dir, 'good/deep', $deep, $_ == 12 ? 'v1' : ());
        $deep = json_of({ schemaVersion => 2, mediaType => $TYPE->{index}, manifests => [ Registry::Client->descriptor($_ > 1 ? 'index' : 'manifest', $deep) ] });
    }
    my $ran = import_of($registry, $dir);
    is($ran->{exit}, 1, 'exit code 1');
    like($ran->{out}, qr/^imported \d+ repositories, \d+ tags, \d+ blobs \(\d+ linked, 0 copied\)\n\z/, 'the rest is imported');
    is($registry->get('/v2/good/one/manifests/v1')->content, $good[-1], '... each byte of it');
    is_status($registry->get('/v2/good/deep/manifests/v1'), 200, '... and what is deep within others');
    my %said = (
        'a blob with another byte'      => qr/blob \Q${\ digest($bad{flipped}[0])}\E is damaged: its bytes are sha256:/,
        '... its manifest'              => qr/manifest bad\/flipped\@\Q${\ digest($bad{flipped}[-1])}\E is left out/,
        '... its tag'                   => qr/tag bad\/flipped:v1 is left out/,
        'a blob that is missing'        => qr/blob \Q${\ digest($bad{missing}[0])}\E is left out: it isn't there/,
        'a manifest with another byte'  => qr/manifest bad\/manifest\@\S+ is left out: it is damaged/,
        'a blob that is a link'         => qr/blob \Q${\ digest($bad{linked}[0])}\E is left out: .*symbolic link/,
        'one that is a pipe'            => qr/blob \Q${\ digest($bad{fifo}[0])}\E is left out: .*neither a file/,
        'one that is a directory'       => qr/blob \Q${\ digest($bad{directory}[0])}\E is left out: .*not a regular file/,
        'a link that lies'              => qr/manifest bad\/lies\@\S+ is left out: its link/,
        'a tag that is a path'          => qr/tag good\/one:nonsense is left out/,
        'a tag that leads to nothing'   => qr/tag good\/one:dangling is left out/,
        'a tag without its link'        => qr/tag good\/one:half is left out: it has no file current\/link/,
        'a tag that cannot be one'      => qr/tag -x of good\/one is left out/,
        'a repository that is elsewhere' => qr/repositories\/inside is left out: .*symbolic link/,
        'a file among the repositories' => qr/repositories\/file is left out/,
        'an upper-case name'            => qr/repository Upper is left out/,
        'schema 1'                      => qr/manifest bad\/schema1\@\S+ is left out: schema 1/,
        'what is no JSON'               => qr/manifest bad\/text\@\S+ is left out/,
        'an index without its image'    => qr/tag bad\/gone:v1 is left out/,
    );
    like($ran->{err}, $said{$_}, $_) for sort keys %said;
    is_error($registry->get("/v2/bad/$_/manifests/v1"), 404, qr/UNKNOWN/, "bad/$_ isn't there") for qw(flipped missing manifest linked fifo directory lies schema1 text);
    is_status($registry->get('/v2/bad/index/manifests/v1'), 200, 'an index whose image was deleted there is here');
    is_error($registry->get('/v2/bad/index/manifests/' . digest($good[-1])), 404, 'MANIFEST_UNKNOWN', '... and its image as little as there');
    is_deeply([ sort grep { !/^bad\// } @{ $registry->get('/v2/_catalog')->json->{repositories} } ], [ 'good/deep', 'good/one' ], 'nothing came from elsewhere');
    is_deeply([ $registry->files('uploads') ], [], 'nothing is left in uploads/');
    ok(!grep({ -l "$registry->{dir}/$_" } $registry->files('layers')), 'no link was linked');
    my @lines = split /\n/, $ran->{err};
    is(scalar(grep { !/^docker-registry-server: / } @lines), 0, 'each complaint is a line');
    # Mended, it comes in.
    spew($path{flipped}, $bad{flipped}[0]);
    import_of($registry, $dir);
    is($registry->get('/v2/bad/flipped/manifests/v1')->content, $bad{flipped}[-1], 'what is mended comes in the next time');
};

# docker-registry looks at no media type of a part.
subtest 'odd media types' => sub {
    my $registry = Registry->start;
    my $dir      = tempdir();
    my $layer    = random_bytes(100);
    my ($config) = $registry->image_of([$layer]);
    put_blob($dir, $layer, $config);
    my $odd = sub ($type, $bytes) { return { digest => digest($bytes), size => length $bytes, defined $type ? (mediaType => $type) : () } };
    my %made;
    for my $kind (qw(manifest docker_manifest)) {
        my $n = 0;
        for my $type (undef, '', 'text/html; charset=utf-8', 'config') {
            my $document = json_of({ schemaVersion => 2, mediaType => $TYPE->{$kind}, config => $odd->($type, $config), layers => [ $odd->($type, $layer) ] });
            $made{ $kind . ++$n } = $document;
            put_manifest($dir, 'odd', $document, "$kind$n");
        }
    }
    $made{index} = json_of({ schemaVersion => 2, mediaType => $TYPE->{index}, annotations => { n => 1 }, manifests => [ map { $odd->('', $made{$_}) } 'manifest1', 'docker_manifest1' ] });
    put_manifest($dir, 'odd', $made{index}, 'index');
    works(import_of($registry, $dir), 'import');
    my @other = grep { $registry->get("/v2/odd/manifests/$_")->content ne $made{$_} } sort keys %made;
    is("@other", '', 'each manifest is there as it was');
    is_error($registry->put_manifest('odd', 'new', $made{manifest2}), 400, 'MANIFEST_INVALID', 'a push of such a manifest is refused as before');
    works(Registry->try([ 'export', 'odd', '--dir', $registry->dir, '-o', "$dir/odd.tar" ]), 'they are exported');
    works(import_of($registry, "$dir/odd.tar", '--prefix', 'again'), '... and imported again');
    is($registry->get('/v2/again/odd/manifests/index')->content, $made{index}, '... as they were');
};

subtest 'what is nothing' => sub {
    my $registry = Registry->start;
    my $dir      = tempdir();
    is_refused(import_of($registry, "$dir/nothing"), qr/nothing/, 'a path that is not there');
    is_refused(import_of($registry, $dir), qr/no docker\/registry\/v2.*index\.json.*manifest\.json or repositories.*no layers/, 'an empty directory: what was looked for is said');
    is_refused(import_of($registry, $registry->dir), qr/of this program/, 'a data directory of ours');
    is_refused(import_of($registry, spew("$dir/text", "hello, this is some text\n")), qr/not a tar/, 'a text');
    is_refused(import_of($registry, spew("$dir/short", 'x')), qr/not a tar/, 'a byte');
    is_refused(import_of($registry, '/dev/null'), qr/the source can't be opened: it is neither/, 'a device');
    is(Registry->try([ 'import', '--dir', $registry->dir ])->{exit},                             2, 'no path is wrong usage');
    is(Registry->try([ 'import', $dir, $dir, '--dir', $registry->dir ])->{exit},                 2, 'and so are two');
    is(Registry->try([ 'import', $dir, '--prefix', 'A/b', '--dir', $registry->dir ])->{exit},    2, 'and a prefix that is no name');
    is(Registry->try([ 'hooks', '--prefix', 'a', '--dir', $registry->dir ])->{exit},             2, 'and --prefix elsewhere');
    is_refused(import_of(bless({ dir => "$dir/none" }, 'Registry'), $source), qr/no registry in \S+none: start the server with this --dir once/, 'a data directory that is not there');
    mkdir "$dir/empty";
    is_refused(import_of(bless({ dir => "$dir/empty" }, 'Registry'), $source), qr/no registry in \S+empty: start the server with this --dir once/, '... and one in which no server has run');
    is_deeply($registry->get('/v2/_catalog')->json->{repositories}, [], 'nothing was made');
};

subtest 'the bounds count' => sub {
    my $registry = Registry->start(args => [ '--max-repositories', '2', '--max-tags', '1', '--max-blob-size', '2000' ]);
    my $dir      = tempdir();
    put_image($dir, "r$_", 'v1', random_bytes(100)) for 1 .. 2;
    put_image($dir, 'r1', 'v2', random_bytes(100));
    put_image($dir, 'r2', 'v1', my $large = random_bytes(3000));
    put_image($dir, 'r3', 'v1', random_bytes(100));
    my $ran = import_of($registry, $dir);
    is($ran->{exit}, 1, 'exit code 1');
    like($ran->{err}, qr/tag r1:v2 is left out/, 'a tag too many');
    like($ran->{err}, qr/blob \Q${\ digest($large)}\E is left out: it has more than 2000 bytes/, 'a blob that is too large');
    like($ran->{err}, qr/repository r3 is left out: .*2/, 'a repository too many');
    is_deeply($registry->get('/v2/r1/tags/list')->json->{tags}, ['v1'], 'what fits is there');
};

finish();
