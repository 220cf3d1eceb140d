# "docker-registry-server export" writes an OCI layout that skopeo, podman, umoci, docker and tar read.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Clients;
use Registry::Images;
use Registry::Tools;
use JSON::PP qw(decode_json);
use Test::More;

my $tmp      = tempdir();
my $registry = Registry->start;
my $address  = '127.0.0.1:' . $registry->port;
my $REF      = 'org.opencontainers.image.ref.name';
my $FULL     = 'io.containerd.image.name';
my $HERE     = 'docker-registry-server.name';

sub export (@args) { return Registry->try([ 'export', '--dir', $registry->dir, @args ], timeout => 60) }

# Exports, and unpacks with tar into a fresh directory.
sub unpacked (@names) {
    my $dir = tempdir();
    my $ran = export(@names, '-o', "$dir/x.tar");
    works($ran, "export @names");
    mkdir "$dir/x";
    works(run([ 'tar', '-xf', "$dir/x.tar", '-C', "$dir/x" ]), '... tar unpacks it');
    return "$dir/x";
}

sub index_of ($dir) { return decode_json(slurp("$dir/index.json"))->{manifests} }
sub blobs_of ($dir) { return [ map { s{.*/}{}r } sort glob("$dir/blobs/sha256/*") ] }
sub hex_of (@bytes) { return [ sort map { digest($_) =~ s/.*://r } @bytes ] }

sub all_fit ($dir, $name) {
    is_deeply([ grep { file_digest($_) ne 'sha256:' . s{.*/}{}r } glob("$dir/blobs/sha256/*") ], [], $name);
}

my $layer = random_bytes(3000);
my ($config, $image) = $registry->image_of([$layer]);
is_status($registry->push_image('app', '1', [$layer]), 201, 'an image');

subtest 'one image' => sub {
    my $dir = unpacked('app:1');
    is(slurp("$dir/oci-layout"), '{"imageLayoutVersion":"1.0.0"}', 'it is an OCI layout');
    is_deeply(index_of($dir), [ {
        mediaType => $Registry::Client::TYPE{manifest}, digest => digest($image), size => length $image,
        annotations => { $REF => '1', $FULL => 'docker.io/library/app:1', $HERE => 'app:1' },
    } ], 'its index names the image');
    is_deeply(blobs_of($dir), hex_of($image, $config, $layer), 'it has manifest, config and layer');
    all_fit($dir, '... which are what their names say');
    is_deeply(decode_json(slurp("$dir/manifest.json")), [ {
        Config => 'blobs/sha256/' . hex_of($config)->[0], RepoTags => ['docker.io/library/app:1'], Layers => [ 'blobs/sha256/' . hex_of($layer)->[0] ],
    } ], 'and a manifest.json for old docker');
    is(export('app:1')->{out}, slurp("$dir.tar"), 'stdout gets the same bytes');
    is(export('app:1', '--output', '-')->{out}, slurp("$dir.tar"), '... also as -');
    works(export('app:1', '-o', "$tmp/plain/"), 'into a directory');
    is(run([ 'diff', '-r', $dir, "$tmp/plain" ])->{out}, '', '... with the same files');
};

subtest 'an index with what is there of it, and what is attached' => sub {
    my ($second_config, $second) = $registry->image_of([$layer], note => 'second');
    my ($third_config,  $third)  = $registry->image_of([$layer], note => 'third');
    $registry->push_blob('multi', $_) for $layer, $config, $second_config, $third_config, '{}';
    is_status($registry->put_manifest('multi', digest($_), $_), 201, 'a part') for $image, $second, $third;
    my $index = json_of({
        schemaVersion => 2, mediaType => $Registry::Client::TYPE{index},
        manifests     => [ map { $registry->descriptor('manifest', $_) } $image, $second, $third ],
    });
    is_status($registry->put_manifest('multi', '1', $index), 201, 'an index');
    my $artifact = sub ($subject, $type, $kind) {
        my $document = json_of({
            schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest}, artifactType => $kind,
            config        => $registry->descriptor('application/vnd.oci.empty.v1+json', '{}'),
            layers        => [ $registry->descriptor('text/plain', $layer) ], subject => $registry->descriptor($type, $subject),
        });
        is_status($registry->put_manifest('multi', digest($document), $document), 201, "an artifact $kind");
        return $document;
    };
    my $sbom = $artifact->($second, 'manifest', 'text/x-sbom');
    my $sig  = $artifact->($sbom,   'manifest', 'text/x-sig');
    my $dir  = unpacked('multi:1');
    is_deeply(blobs_of($dir), hex_of($index, $image, $second, $third, $config, $second_config, $third_config, $layer, '{}', $sbom, $sig),
        'it has all parts, the list of materials of one, and its signature');
    my $entries = index_of($dir);
    is($entries->[0]{annotations}{$REF}, '1', 'the index has its tag');
    is_deeply([ map { $_->{digest} } @$entries[ 1 .. $#$entries ] ], [ sort map { digest($_) } $sbom, $sig ], '... and behind it is what nothing else names');
    is_deeply($entries->[1]{annotations}, { $HERE => 'multi' }, '... without a tag');

    my $cosign = 'sha256-' . (digest($third) =~ s/.*://r) . '.sig';
    is_status($registry->put_manifest('multi', $cosign, $sig), 201, 'a signature of the older kind, by a tag');
    is_deeply([ map { $_->{annotations}{$REF} // '' } @{ index_of(unpacked('multi:1')) } ], [ '1', $cosign, '' ], '... comes along');
    is_status($registry->delete("/v2/multi/manifests/$cosign"), 202, '... and goes');

    is_status($registry->delete('/v2/multi/manifests/' . digest($third)), 202, 'one of the index is deleted');
    my $ran = export('multi:1', '-o', "$tmp/less/");
    works($ran, 'the rest is exported');
    like($ran->{err}, qr/^docker-registry-server: 1 parts? of indexes/, '... and it is said that something is missing');
    is_deeply(blobs_of("$tmp/less"), hex_of($index, $image, $second, $config, $second_config, $layer, '{}', $sbom, $sig), '... just that');
    is_deeply(blobs_of(unpacked('multi@' . digest($second))), hex_of($second, $second_config, $layer, '{}', $sbom, $sig), 'one of them, by digest');
};

subtest 'many names' => sub {
    my ($other_config, $other) = $registry->image_of([$layer], note => 'other', kind => 'docker');
    is_status($registry->push_image('team/web', $_, [$layer], note => 'other', kind => 'docker'), 201, "team/web:$_") for qw(b a 1);
    my $dir = unpacked('team/web', 'app:1');
    is_deeply([ map { $_->{annotations} } @{ index_of($dir) } ], [
        { $REF => 'app:1', $FULL => 'docker.io/library/app:1', $HERE => 'app:1' },
        map { { $REF => "team/web:$_", $FULL => "docker.io/team/web:$_", $HERE => "team/web:$_" } } qw(1 a b),
    ], 'all tags of a repository, in order, by their full names');
    is(index_of($dir)->[1]{mediaType}, $Registry::Client::TYPE{docker_manifest}, 'an image of docker stays one');
    is_deeply(blobs_of($dir), hex_of($image, $config, $other, $other_config, $layer), 'what they share is there once');
    is(slurp("$dir.tar"), export('app:1', 'team/web:b', 'team/web', 'app:1')->{out}, 'in whatever order they are named');
    my $one = unpacked('team/web:a', 'team/web:b');
    is_deeply([ map { $_->{annotations}{$REF} } @{ index_of($one) } ], [qw(a b)], 'tags alone where all is one repository');
};

subtest 'sha512, a large manifest, an empty layer' => sub {
    my $digest   = digest($layer, 'sha512');
    my $manifest = decode_json($image);
    $manifest->{layers}[0]{digest} = $digest;
    push @{ $manifest->{layers} }, $registry->descriptor('layer', '');
    $manifest->{annotations} = { large => 'x' x 100_000 };
    my $document = json_of($manifest);
    is_status($registry->push_blob('odd', $layer, digest => $digest), 201, 'a layer by sha512');
    $registry->push_blob('odd', $_) for $config, '';
    is_status($registry->put_manifest('odd', '1', $document), 201, 'a manifest of 100 kB');
    my $dir = unpacked('odd:1');
    is(slurp("$dir/blobs/sha512/" . $digest =~ s/.*://r), $layer, 'the layer');
    is_deeply(blobs_of($dir), hex_of($document, $config, ''), 'and the rest');
    works(export('odd:1', '-o', "$tmp/odd/"), 'into a directory');
    is(run([ 'diff', '-r', $dir, "$tmp/odd" ])->{out}, '', '... with the same files');
};

my $layout = tempdir();
my $real   = make_layout_index("$layout/l", '1', 300_000, 20_000);
my $single = make_layout("$layout/s", '1', 200_000, 1000);

subtest 'skopeo' => sub {
    plan skip_all => 'skopeo is not installed' if !find_program('skopeo') && ($ENV{CI} // '') ne 'true';
    works(skopeo('copy', '--all', '--dest-tls-verify=false', "oci:$layout/l:1", "docker://$address/real:1"),    'an index');
    works(skopeo('copy', '--dest-tls-verify=false', "oci:$layout/s:1", "docker://$address/single:1"), 'an image');
    works(export('real:1', '-o', "$tmp/real.tar"), 'export');
    works(export('single', 'real', '-o', "$tmp/both.tar"), 'export of both');
    works(skopeo('copy', '--all', '--dest-tls-verify=false', "oci-archive:$tmp/real.tar:1", "docker://$address/back:1"), 'read by its tag');
    is($registry->head('/v2/back/manifests/1')->header('Docker-Content-Digest'), $real, '... the same digest');
    works(skopeo('copy', '--all', '--dest-tls-verify=false', "oci-archive:$tmp/real.tar", "docker://$address/back:2"), '... and without');
    works(skopeo('copy', '--dest-tls-verify=false', "oci-archive:$tmp/both.tar:single:1", "docker://$address/back:3"), 'one of two, by its name');
    is($registry->head('/v2/back/manifests/3')->header('Docker-Content-Digest'), $single, '... the same digest');
    works(export('team/web:a', '-o', "$tmp/docker.tar"), "an image of docker's");
    works(skopeo('copy', '--all', '--dest-tls-verify=false', "oci-archive:$tmp/docker.tar", "docker://$address/back:4"), '... is read by the line of the manual');
    my ($there, $here) = map { $registry->get($_)->json->{config}{digest} } '/v2/team/web/manifests/a', '/v2/back/manifests/4';
    is($here, $there, '... the same image');
    works(export('team/web', '-o', "$tmp/web.tar"), "several of docker's");
    works(skopeo('copy', '--dest-tls-verify=false', "docker-archive:$tmp/web.tar:team/web:1", "docker://$address/back:5"), '... are read by their names');
    works(skopeo('inspect', '--raw', "docker-archive:$tmp/both.tar:single:1"), 'and as an archive of docker');
};

subtest 'podman' => sub {
    plan skip_all => 'podman is not installed' if !find_program('podman') && ($ENV{CI} // '') ne 'true';
    my $podman = Registry::Clients->podman;
    my $info   = $podman->run('info');
    plan skip_all => "podman does not run here: $info->{err}" if $info->{exit};
    my $loaded = $podman->run('load', '-i', "$tmp/real.tar");
    works($loaded, 'an index');
    like($loaded->{out}, qr{docker\.io/library/real:1$}m, '... under its name');
    works($podman->run('load', '-i', "$tmp/both.tar"), 'two at once');
    works($podman->run('image', 'exists', "docker.io/library/$_:1"), "... $_") for qw(single real);
};

subtest 'umoci' => sub {
    plan skip_all => 'umoci is not installed' if !find_program('umoci') && ($ENV{CI} // '') ne 'true';
    works(export('single', '-o', "$tmp/single"), 'a directory that is not there, without a slash, would be a file');
    ok(-f "$tmp/single", '... and is one');
    works(export('single', '-o', "$tmp/umoci/"), 'a directory');
    works(run([ 'umoci', 'unpack', '--rootless', '--image', "$tmp/umoci:1", "$tmp/bundle" ]), 'umoci unpacks it');
    is(-s "$tmp/bundle/rootfs/file-0", 200_000, '... with its files');
    like(run([ 'umoci', 'ls', '--layout', "$tmp/umoci" ])->{out}, qr/^1$/m, '... and knows the tag');
    works(export('single', 'real', '-o', "$tmp/two/"), 'of two images');
    works(run([ 'umoci', 'unpack', '--rootless', '--image', "$tmp/two:single:1", "$tmp/bundle2" ]), '... it finds one by its name');

    # umoci knows no media types of docker; the manual says so, and has these lines.
    works(skopeo('copy', '--dest-tls-verify=false', '--format', 'v2s2', "oci:$tmp/umoci:1", "docker://$address/docker:1"), 'an image of docker');
    works(export('docker', '-o', "$tmp/docker/"), '... as a directory');
    is_refused(run([ 'umoci', 'unpack', '--rootless', '--image', "$tmp/docker:1", "$tmp/none" ]), qr/not implemented/, '... which umoci does not read');
    works(export('docker:1', '-o', "$tmp/docker1.tar"), '... as a tar');
    works(skopeo('copy', "oci-archive:$tmp/docker1.tar", "oci:$tmp/converted:1"), '... which skopeo converts');
    works(run([ 'umoci', 'unpack', '--rootless', '--image', "$tmp/converted:1", "$tmp/bundle1" ]), '... and then umoci unpacks it');
    is(-s "$tmp/bundle1/rootfs/file-0", 200_000, '... with its files');
};

subtest 'docker' => sub {
    plan skip_all => 'docker is not installed' if !(find_program('dockerd') && find_program('docker')) && ($ENV{CI} // '') ne 'true';
    plan skip_all => 'a docker engine needs root' if !is_root();
    my $docker = Registry::Clients->docker_engine or plan skip_all => "the docker engine does not start: $@";
    my $ran    = $docker->run('load', '-i', "$tmp/both.tar");
    works($ran, 'docker load');
    like($ran->{out}, qr/Loaded image: single:1/, '... with the name');
    is($docker->run('image', 'inspect', '--format', '{{len .RootFS.Layers}} {{.Architecture}}', $_)->{out}, "2 amd64\n", "... $_, with all layers") for qw(single:1 real:1);
};
finish();
