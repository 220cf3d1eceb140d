# "docker-registry-server import" of what skopeo, umoci, podman and docker write, as directories and tars, and
# of tars that nobody writes.
use v5.36;
use Registry limit => 300;
use JSON::PP qw(decode_json);
use Registry::Checks;
use Registry::Clients;
use Registry::Images;
use Registry::Tools;
use Test::More;

sub import_of ($registry, $path, @args) { return Registry->try([ 'import', $path, '--dir', $registry->dir, @args ], timeout => 100) }

# What isn't there of these programs; in CI that is a failure.
sub lacking (@programs) {
    my @missing = grep { !find_program($_) } @programs;
    fail("not installed: @missing") if @missing && ($ENV{CI} // '') eq 'true';
    return @missing ? "not installed: @missing" : '';
}

my $registry = Registry->start;

# The digest of a tag, once all of it is there with the right bytes; else what is wrong.
sub pulled ($registry, $repository, $reference) {
    my $response = $registry->get("/v2/$repository/manifests/$reference");
    return "status " . $response->status if $response->status != 200;
    my $document = decode_json($response->content);
    for my $part (@{ $document->{manifests} // [] }) {
        my $child = pulled($registry, $repository, $part->{digest});
        return "$part->{digest}: $child" if $child ne $part->{digest};
    }
    for my $part (grep { $_ } $document->{config}, @{ $document->{layers} // [] }) {
        my $blob = $registry->get("/v2/$repository/blobs/$part->{digest}");
        return "$part->{digest}: " . $blob->status if digest($blob->content) ne $part->{digest} || length $blob->content != $part->{size};
    }
    return digest($response->content);
}

# ---- layouts ----

my $dir     = tempdir();
my $layout  = "$dir/My-App";
my $image   = make_layout($layout, 'v1', 1000, 200_000);
my $several = "$dir/several";
my $index   = make_layout_index($several, 'v2', 500);

subtest 'an OCI layout' => sub {
    my $ran = import_of($registry, $layout);
    works($ran, 'a directory');
    is($ran->{out}, "imported 1 repository, 1 tag, 3 blobs (3 linked, 0 copied)\n", '... is linked');
    is(pulled($registry, 'my-app', 'v1'), $image, '... and called like it');
    my $ran_several = import_of($registry, "$several/");
    is($ran_several->{out}, "imported 1 repository, 1 tag, 4 blobs (4 linked, 0 copied)\n", 'one with an index');
    is(pulled($registry, 'several', 'v2'), $index, '... comes with its images');
    works(run([ 'tar', '-cf', "$dir/more.oci.tar", '-C', $several, '.' ]), 'a tar of it');
    my $ran_tar = import_of($registry, "$dir/more.oci.tar", '--prefix', 'x/y');
    is($ran_tar->{out}, "imported 1 repository, 1 tag, 4 blobs (0 linked, 0 copied)\n", '... has nothing new');
    is(pulled($registry, 'x/y/more', 'v2'), $index, '... but its name');
    my $fresh = Registry->start;
    is(import_of($fresh, "$dir/more.oci.tar")->{out}, "imported 1 repository, 1 tag, 4 blobs (0 linked, 4 copied)\n", 'elsewhere it is copied');
    is(pulled($fresh, 'more', 'v2'), $index, '... and whole');
};

subtest 'names in index.json' => sub {
    my $entry = sub ($digest, %more) { return { mediaType => $Registry::Client::TYPE{manifest}, digest => $digest, size => 1, %more } };
    my $named = sub ($name, $key = 'org.opencontainers.image.ref.name') { return $entry->($image, annotations => { $key => $name }) };
    my $write = sub (@entries) { spew("$layout/index.json", json_of({ schemaVersion => 2, manifests => \@entries })) };
    $write->($named->('docker.io/library/alpine:3'), $named->('localhost/pod/app:x'), $named->('reg.example.com:5000/team/app'), $named->('plain:1'), $named->('9.9'),
        $named->('example.com/whole/name:1', 'io.containerd.image.name'), $named->('UPPER/x:1'), $named->('a:b:c'), $named->('../../x:1'));
    my $ran = import_of($registry, $layout);
    is($ran->{out}, "imported 6 repositories, 6 tags, 3 blobs (0 linked, 0 copied)\n", 'of all kinds');
    is($ran->{exit}, 1, '... some are none');
    like($ran->{err}, qr/\Q$_\E is left out/, "$_ is said") for 'UPPER/x:1', 'a:b:c', '../../x:1';
    is(pulled($registry, @$_), $image, join ':', @$_) for [qw(alpine 3)], [qw(pod/app x)], [qw(team/app latest)], [qw(plain 1)], [qw(my-app 9.9)], [qw(whole/name 1)];
    my $own = 'docker-registry-server.name';
    $write->($entry->($image, annotations => { $own => 'example.com/app:1', 'io.containerd.image.name' => 'other:1' }), $entry->($image, annotations => { $own => 'by/digest' }));
    works(import_of($registry, $layout), 'names of our own export');
    is(pulled($registry, 'example.com/app', '1'), $image, '... are taken as they are');
    is(pulled($registry, 'by/digest', $image), $image, '... without a tag too');
    is_deeply($registry->get('/v2/by/digest/tags/list')->json->{tags} // [], [], '... and get none');
    $write->($entry->($image));
    works(import_of($registry, $layout, '--prefix', 'only'), 'an image alone, without a name');
    is(pulled($registry, 'only/my-app', 'latest'), $image, '... is the latest');
    my $sig = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest}, artifactType => 'text/sig', layers => [],
        config => $registry->descriptor('application/vnd.oci.empty.v1+json', '{}'), subject => { %{ $entry->($image) }, size => 1000 } });
    spew("$layout/blobs/sha256/" . substr(digest($_), 7), $_) for $sig, '{}';
    $write->($named->('refs/app:1'), $entry->(digest($sig)));
    works(import_of($registry, $layout), 'one with what refers to it');
    is($registry->get("/v2/refs/app/referrers/$image")->json->{manifests}[0]{digest}, digest($sig), '... which goes where the image goes');
    spew("$layout/index.json", '{"schemaVersion":2,"manifests":null}');
    is(import_of($registry, $layout)->{out}, "imported 0 repositories, 0 tags, 0 blobs (0 linked, 0 copied)\n", 'without any image there is nothing to do');
    $write->($named->('v1'));
};

subtest 'skopeo and umoci' => sub {
    if (my $why = lacking('skopeo', 'umoci')) { plan(skip_all => $why) }
    my $home = tempdir();
    works(skopeo('copy', '-q', "oci:$layout:v1", "oci-archive:$home/sk.tar:some/name:2"), 'skopeo writes an archive');
    works(import_of($registry, "$home/sk.tar"), '... which is imported');
    is(pulled($registry, 'some/name', '2'), $image, '... the same image');
    works(skopeo('copy', '-q', "oci:$layout:v1", "docker-archive:$home/da.tar:some/docker:3"), 'and one for docker');
    works(import_of($registry, "$home/da.tar"), '... which is imported');
    my $made = pulled($registry, 'some/docker', '3');
    like($made, qr/^sha256:/, '... whole');
    works(import_of($registry, "$home/da.tar", '--prefix', 'again'), 'again');
    is(pulled($registry, 'again/some/docker', '3'), $made, '... makes the same manifest');
    works(skopeo('copy', '-q', '--src-tls-verify=false', 'docker://127.0.0.1:' . $registry->port . '/some/docker:3', "oci:$home/back:x"), 'skopeo pulls it');
    works(run([ 'umoci', 'init', '--layout', "$home/um" ]), 'umoci makes a layout');
    works(run([ 'umoci', 'new', '--image', "$home/um:empty" ]), '... with an image');
    works(import_of($registry, "$home/um"), '... which is imported');
    like(pulled($registry, 'um', 'empty'), qr/^sha256:/, '... whole');
    works(skopeo('copy', '-q', "oci:$layout:v1", "dir:$home/dir"), 'a directory of skopeo\'s own kind');
    is_refused(import_of($registry, "$home/dir"), qr/if skopeo or podman wrote this/, '... is refused');
    works(skopeo('copy', '-q', "dir:$home/dir", "oci:$home/asked:1"), '... and does as told');
    works(import_of($registry, "$home/asked"), '... it is imported');
};

# ---- docker save ----

my $archive = "$dir/saved.tar";
my $id      = make_archive($archive, 'example.com/team/saved:1', 300, 4000);

subtest 'a tar of "docker save"' => sub {
    my $ran = import_of($registry, $archive);
    works($ran, 'import');
    is($ran->{out}, "imported 1 repository, 1 tag, 3 blobs (0 linked, 3 copied)\n", '... says so');
    my $manifest = $registry->get('/v2/team/saved/manifests/1');
    is($manifest->json->{config}{digest}, $id, 'the image is that one');
    like(pulled($registry, 'team/saved', '1'), qr/^sha256:/, '... and whole');
    is(import_of($registry, $archive)->{out}, "imported 1 repository, 1 tag, 3 blobs (0 linked, 0 copied)\n", 'a second time nothing is copied');
    mkdir "$dir/unpacked";
    run([ 'tar', '-xf', $archive, '-C', "$dir/unpacked" ]);
    works(import_of($registry, "$dir/unpacked", '--prefix', 'dir'), 'the same unpacked');
    is(pulled($registry, 'dir/team/saved', '1'), digest($manifest->content), '... makes the same');
};

subtest 'names that become one' => sub {
    my $home = tempdir();
    my @names = ('docker.io/library/one:1', 'localhost/one:1');
    my @ids   = map { make_archive("$home/$_.tar", $names[$_], 300 + $_) } 0, 1;
    my @list;
    for my $i (0, 1) {
        mkdir "$home/all" if !$i;
        mkdir "$home/all/$i";
        run([ 'tar', '-xf', "$home/$i.tar", '-C', "$home/all/$i" ]);
        my $image = decode_json(slurp("$home/all/$i/manifest.json"))->[0];
        push @list, { Config => "$i/$image->{Config}", RepoTags => $image->{RepoTags}, Layers => [ map { "$i/$_" } @{ $image->{Layers} } ] };
    }
    spew("$home/all/manifest.json", json_of(\@list));
    my $ran = import_of($registry, "$home/all");
    is_refused($ran, qr/^docker-registry-server: one:1 is left out: another image of the source has this name, too$/m, 'the second of two images');
    like($ran->{out}, qr/^imported 1 repository, 1 tag,/, '... is not counted');
    is($registry->get('/v2/one/manifests/1')->json->{config}{digest}, $ids[0], '... the first one has the name');
    push @{ $list[0]{RepoTags} }, $names[1];
    spew("$home/all/manifest.json", json_of([ $list[0] ]));
    $ran = import_of($registry, "$home/all");
    works($ran, 'two such names of one image');
    like($ran->{out}, qr/^imported 1 repository, 1 tag,/, '... are one');
};

subtest 'podman save' => sub {
    if (my $why = lacking('podman')) { plan(skip_all => $why) }
    my $podman = Registry::Clients->podman;
    my $home   = tempdir();
    works($podman->run('load', '-q', '-i', $archive), 'podman has the image');
    works($podman->run('save', '-q', '--format', $_, '-o', "$home/$_.tar", 'example.com/team/saved:1'), "podman save --format $_") for 'docker-archive', 'oci-archive';
    works(import_of($registry, "$home/$_.tar", '--prefix', "podman-" . s/-.*//r), "import of $_") for 'docker-archive', 'oci-archive';
    is($registry->get('/v2/podman-docker/team/saved/manifests/1')->json->{config}{digest}, $id, 'the same image');
    like(pulled($registry, 'podman-docker/team/saved', '1'), qr/^sha256:/, '... whole');
    like(pulled($registry, 'podman-oci/team/saved',    '1'), qr/^sha256:/, '... and by the other');
    works($podman->run('pull', '-q', '--tls-verify=false', '127.0.0.1:' . $registry->port . '/podman-docker/team/saved:1'), 'podman pulls it');
    $podman->stop;
};

subtest 'docker save' => sub {
    plan(skip_all => 'a docker engine needs root') if !is_root();
    if (my $why = lacking('docker', 'dockerd')) { plan(skip_all => $why) }
    my $docker = Registry::Clients->docker_engine or plan(skip_all => 'the docker engine does not start');
    my $home   = tempdir();
    works($docker->run('load', '-i', $archive), 'docker has the image');
    works($docker->run('tag', 'example.com/team/saved:1', 'other:2'), '... by two names');
    works($docker->run('save', '-o', "$home/d.tar", 'example.com/team/saved:1', 'other:2'), 'docker save');
    my $ran = import_of($registry, "$home/d.tar", '--prefix', 'docker');
    works($ran, '... is imported');
    is($ran->{out}, "imported 2 repositories, 2 tags, 3 blobs (0 linked, 0 copied)\n", '... under both');
    my $address = '127.0.0.1:' . $registry->port;
    $docker->run('rmi', '-f', $id);
    works($docker->run('pull', "$address/docker/other:2"), 'docker pulls it');
    is($docker->run('image', 'inspect', '--format', '{{.Id}}', "$address/docker/other:2")->{out}, "$id\n", '... the same image');
    $docker->stop;
};

# ---- what nobody writes ----

# A tar by hand: [name, type, link or bytes].
sub entry ($name, $bytes, $type = '0', $link = '') {
    my $header = pack 'a100 a8 a8 a8 a12 a12 a8 a1 a100 a6 a2 a32 a32 a8 a8 a155 a12', $name, '0000644', '0000000', '0000000',
        sprintf('%011o', length $bytes), '00000000000', ' ' x 8, $type, $link, "ustar\0", '00', ('') x 6;
    substr $header, 148, 8, sprintf "%06o\0 ", unpack '%32C*', $header;
    return $header . $bytes . "\0" x (-length($bytes) % 512);
}

sub tar (@entries) { return spew("$dir/by-hand.tar", join('', map { entry(@$_) } @entries) . "\0" x 1024) }

sub saved_by_hand ($layer_name, %o) {
    my $layer  = $o{layer} // random_bytes(1500);
    my $config = json_of({ architecture => 'amd64', os => 'linux', rootfs => { type => 'layers', diff_ids => [ $o{diff_id} // digest($layer) ] }, note => random_hex() });
    return ([ 'config.json', $config ], [ 'manifest.json', json_of([ { Config => $o{config} // 'config.json', RepoTags => $o{tags} // ['hand:1'], Layers => [$layer_name] } ]) ], $layer);
}
sub random_hex () { return unpack 'H*', random_bytes(8) }

subtest 'tars by hand' => sub {
    my $passwd = slurp('/etc/passwd');
    my $try = sub ($what, $pattern, @entries) {
        my $ran = import_of($registry, tar(@entries));
        is($ran->{exit}, 1, "$what: exit code 1");
        like($ran->{err}, $pattern, '... and why');
        is_error($registry->get('/v2/hand/manifests/1'), 404, qr/UNKNOWN/, '... nothing is there');
    };
    my ($config, $manifest, $layer) = saved_by_hand('../../../../../../etc/passwd', diff_id => digest($passwd));
    $try->('a layer by a path', qr/isn't there/, $config, $manifest, [ '../../../../../../etc/passwd', $layer ]);
    ($config, $manifest, $layer) = saved_by_hand('/etc/passwd', diff_id => digest($passwd));
    $try->('... by an absolute one', qr/isn't there/, $config, $manifest);
    ($config, $manifest, $layer) = saved_by_hand('link', diff_id => digest($passwd));
    $try->('a link out of it', qr/isn't there/, $config, $manifest, [ 'link', '', '2', '/etc/passwd' ]);
    $try->('... by parents',   qr/isn't there/, $config, $manifest, [ 'link', '', '2', '../../../../../etc/passwd' ]);
    $try->('links in a circle', qr/isn't there/, $config, $manifest, [ 'link', '', '2', 'a/b' ], [ 'a/b', '', '2', '../link' ]);
    ($config, $manifest, $layer) = saved_by_hand('layer', diff_id => digest('x'));
    $try->('another layer', qr/blob \S+ is damaged/, $config, $manifest, [ 'layer', $layer ]);
    ($config, $manifest, $layer) = saved_by_hand('layer', diff_id => '../../x');
    $try->('a diff id that is none', qr/left out/, $config, $manifest, [ 'layer', $layer ]);
    $try->('no config', qr/its config isn't there/, (saved_by_hand('layer', config => 'other'))[1], [ 'layer', 'x' ]);
    $try->('no list',   qr/not a list/, [ 'manifest.json', '{}' ]);
    $try->('no JSON',   qr/manifest\.json/, [ 'manifest.json', '[{' ]);
    $try->('nothing known', qr/no index\.json.*manifest\.json or repositories/, [ 'hello', 'x' ]);

    ($config, $manifest, $layer) = saved_by_hand('aa/layer.tar');
    my $whole = slurp(tar($config, $manifest, [ 'bb/layer.tar', $layer ], [ 'aa/layer.tar', '', '2', '../bb/layer.tar' ]));
    for my $cut (600, length($whole) - 3000, length($whole) - 2600) {
        is_refused(import_of($registry, spew("$dir/cut.tar", substr $whole, 0, $cut)), qr/./, "cut at $cut");
    }
    substr(my $broken = $whole, 520, 1) ^.= "\1";
    substr($broken, 1030, 100) = "\xff" x 100;
    is_refused(import_of($registry, spew("$dir/broken.tar", $broken)), qr/./, 'a damaged header');
    works(import_of($registry, spew("$dir/whole.tar", $whole)), 'a link within it, as docker made them');
    like(pulled($registry, 'hand', '1'), qr/^sha256:/, '... is followed');
};

# docker 29 saves one platform's image with the index of all.
subtest 'an index that came alone' => sub {
    my $partly = "$dir/partly";
    my $whole  = make_layout_index($partly, 'v3', 700);
    my $blob   = sub ($digest) { return "$partly/blobs/sha256/" . substr $digest, 7 };
    my ($here, $lost) = map { $_->{digest} } @{ decode_json(slurp($blob->($whole)))->{manifests} };
    unlink $blob->(decode_json(slurp($blob->($lost)))->{layers}[0]{digest});
    my $ran = import_of($registry, $partly);
    works($ran, 'import');
    like($ran->{err}, qr/index \Q$whole\E lacks images/, '... says so');
    my $index = $registry->get('/v2/partly/manifests/v3')->json;
    is_deeply([ map { $_->{digest} } @{ $index->{manifests} } ], [$here], 'those that are there can be pulled');
    is($index->{manifests}[0]{platform}{architecture}, 'amd64', '... by their platform');
    my $digest = pulled($registry, 'partly', 'v3');
    like($digest, qr/^sha256:/, '... whole');
    works(import_of($registry, $partly, '--prefix', 'again'), 'again');
    is(pulled($registry, 'again/partly', 'v3'), $digest, '... it is the same');
    unlink $blob->($_) for $here, $lost;
    my $none = import_of($registry, $partly, '--prefix', 'none');
    is($none->{exit}, 1, 'without any it is left out');
    like($none->{err}, qr/tag none\/partly:v3 is left out/, '... and says so');
};

subtest 'layouts that lie' => sub {
    my $fresh = Registry->start;
    my $good  = { mediaType => $Registry::Client::TYPE{manifest}, digest => $image, size => 1, annotations => { 'org.opencontainers.image.ref.name' => 'lies:1' } };
    my $try   = sub ($what, $pattern, $index) {
        spew("$layout/index.json", ref $index ? json_of($index) : $index);
        my $ran = import_of($fresh, $layout);
        is($ran->{exit}, 1, "$what: exit code 1");
        like($ran->{err}, $pattern, '... and why');
    };
    $try->('no such manifest', qr/left out: it isn't there/, { manifests => [ { %$good, digest => digest('x') } ] });
    $try->('no digest',        qr/without a digest/,         { manifests => [ { %$good, digest => '../../../etc/passwd' } ] });
    $try->('no entries',       qr/no list of manifests/,     { manifests => {} });
    $try->('no JSON',          qr/index\.json/,              '{"manifests":[');
    $try->('a list of lists',  qr/index\.json|left out/,     '[' x 100 . ']' x 100);
    my ($config) = map { $_->{digest} } decode_json(slurp("$layout/blobs/sha256/" . substr $image, 7))->{config};
    $try->('a config for a manifest', qr/left out/, { manifests => [ { %$good, digest => $config } ] });
    $try->('a number for a name', qr/left out|^\z/, { manifests => [ { %$good, annotations => { 'org.opencontainers.image.ref.name' => "a\n\e[31mb:1" } } ] });
    my $deep = slurp("$layout/blobs/sha256/" . substr $image, 7);
    for (1 .. 120) {
        spew("$layout/blobs/sha256/" . substr(digest($deep), 7), $deep);
        $deep = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index}, manifests => [ Registry::Client->descriptor($_ > 1 ? 'index' : 'manifest', $deep) ] });
    }
    spew("$layout/blobs/sha256/" . substr(digest($deep), 7), $deep);
    $try->('an index in an index in an index ...', qr/nested too deeply/, { manifests => [ { %$good, digest => digest($deep), mediaType => $Registry::Client::TYPE{index} } ] });
    is_deeply($fresh->get('/v2/_catalog')->json->{repositories}, [], 'nothing of it is there');
    spew("$layout/index.json", json_of({ manifests => [ { %$good, mediaType => $Registry::Client::TYPE{index} } ] }));
    works(import_of($fresh, $layout), 'what the document says of its type beats what others say');
    is(pulled($fresh, 'lies', '1'), $image, '... and it is whole');
};

finish();
