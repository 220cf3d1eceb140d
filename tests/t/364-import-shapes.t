# "docker-registry-server import" of archives in all the shapes that tools give them, made by hand: docker before
# 1.10, crane, kaniko, jib, nix, podman, docker 25, cosign; compressed and not, as tars and as directories.
use v5.36;
use Registry limit => 300;
use JSON::PP qw(decode_json);
use Registry::Checks;
use Registry::Images;
use Registry::Layers;
use Registry::Tools;
use Test::More;

my $registry = Registry->start;
my $dir      = tempdir();

sub import_of ($path, @args) { return Registry->try([ 'import', $path, '--dir', $registry->dir, @args ], timeout => 100) }

# The entries of an archive: names and bytes; a reference is the target of a symbolic link.
sub archive (@files) {
    my @entries;
    while (my ($name, $bytes) = splice @files, 0, 2) {
        my $is_dir = $name =~ m{/\z};
        push @entries, ref $bytes ? { name => $name, type => '2', link => $$bytes }
            : { name => $name, type => $is_dir ? '5' : '0', mode => $is_dir ? 0755 : 0644, data => $bytes };
    }
    return tar_of(@entries);
}

sub config_of ($note, @diff_ids) {
    return json_of({ architecture => 'amd64', os => 'linux', created => '2024-01-01T00:00:00Z', config => { Labels => { note => $note } },
        rootfs => { type => 'layers', diff_ids => \@diff_ids } });
}

my @tars = (tar_of('d etc', 'f etc/motd hello'), tar_of('f etc/more x'));
my @ids  = map { digest($_) } @tars;
sub hex_of ($digest) { return $digest =~ s/.*://r }

# What an image has of files, by the registry that looks inside.
sub files_of ($repository, $tag) {
    my $response;
    wait_for(30, sub { ($response = $registry->get("/v2/$repository/_image/$tag/find?name=*"))->status !~ /^(?:404|503)$/ });
    return "status " . $response->status . ' ' . $response->content if $response->status != 200;
    return join ' ', sort map { $_->{path} =~ s{/$}{}r } @{ $response->json };
}
my $FILES = '/etc /etc/more /etc/motd';

# ---- docker before 1.10 ----

my ($base, $top) = ('1' x 64, '2' x 64);
sub v1_json (%o) { return json_of({ created => '2015-03-04T05:06:07Z', architecture => 'amd64', os => 'linux', config => { Cmd => ['/a'] }, %o }) }
my @before = (
    "$base/" => '', "$base/VERSION" => '1.0', "$base/json" => v1_json(id => $base),                 "$base/layer.tar" => $tars[0],
    "$top/"  => '', "$top/VERSION"  => '1.0', "$top/json"  => v1_json(id => $top, parent => $base), "$top/layer.tar"  => $tars[1],
);
my $repositories = json_of({ 'example.com/old/app' => { '1.0' => $top, base => $base }, plain => { latest => $top } });

subtest 'docker save before docker 1.10' => sub {
    my $ran = import_of(spew("$dir/before.tar", archive(@before, repositories => $repositories)));
    works($ran, 'a tar');
    is($ran->{out}, "imported 2 repositories, 3 tags, 2 blobs (0 linked, 2 copied)\n", '... says so');
    is(files_of('old/app', '1.0'), $FILES, 'the second API serves it');
    is($registry->get('/v1/repositories/old/app/tags/1.0')->json, $top, 'the first one by the same id');
    is($registry->get("/v1/images/$base/layer")->content, $tars[0], '... and the same layer');
    is($registry->get("/v1/images/$top/ancestry")->content =~ tr/"//, 4, '... below its parent');
    is(import_of("$dir/before.tar")->{out}, "imported 2 repositories, 3 tags, 2 blobs (0 linked, 0 copied)\n", 'again nothing is copied');
    mkdir "$dir/before";
    works(run([ 'tar', '-xf', "$dir/before.tar", '-C', "$dir/before" ]), 'unpacked');
    works(import_of("$dir/before", '--prefix', 'dir'), '... it is imported as well');
    is($registry->get('/v1/repositories/dir/plain/tags/latest')->json, $top, '... the same');

    my $alone = import_of(spew("$dir/No-Name.tar", archive(@before)));
    works($alone, 'an image without a name, so without the file repositories');
    is(files_of('no-name', 'latest'), $FILES, '... is the latest of a repository called like the file');
    my $other = '3' x 64;
    my @two   = (@before, "$other/json" => v1_json(id => $other), "$other/layer.tar" => $tars[0]);
    my $same = import_of(spew("$dir/same.tar", archive(@before, repositories => json_of({ 'a.example.com/same' => { 1 => $top }, 'b.example.com/same' => { 1 => $base } }))));
    is_refused($same, qr/^docker-registry-server: same:1 is left out: another image of the source has this name, too$/m, 'two images that get one name');
    is($registry->get('/v1/repositories/same/tags/1')->json, $top, '... the first one has it');
    my $two   = import_of(spew("$dir/two.tar", archive(@two, repositories => $repositories)));
    is($two->{exit}, 1, 'one without a name beside others');
    like($two->{err}, qr/image $other is left out: it has no name/, '... is left out');
};

subtest 'what can be wrong with it' => sub {
    my $fresh = sub ($digit) { return $digit x 64 };
    my ($a, $b, $c, $d) = map { $_ x 64 } qw(a b c d);
    my $ran = import_of(spew("$dir/bad.tar", archive(
        "$a/json" => v1_json(id => $a), "$b/json" => 'no JSON', "$b/layer.tar" => $tars[0],
        "$c/json" => v1_json(id => $c, parent => $d), "$c/layer.tar" => $tars[0], "$d/json" => v1_json(id => $d, parent => $c), "$d/layer.tar" => $tars[0],
        'ffff/json' => '{}', "$base/json" => v1_json(id => $base), "$base/layer.tar" => $tars[0],
        repositories => json_of({ bad => { nolayer => $a, nojson => $b, circle => $c, nothing => 'x', absent => 'e' x 64, good => $base }, 'UP/x' => { 1 => $base } }))));
    is($ran->{exit}, 1, 'exit code 1');
    like($ran->{err}, $_, "... $_") for qr/tag bad:nolayer is left out/, qr/image $b is left out: /, qr/image with more than \d+ parents is left out/,
        qr/tag bad:nothing is left out: it names no image/, qr/UP\/x:1 is left out: .*name/, qr/image e+ is left out: it isn't there/;
    is_deeply($registry->get('/v2/bad/tags/list')->json->{tags}, ['good'], 'what is right is there');
    is_refused(import_of(spew("$dir/bad.tar", archive(@before, repositories => '[{'))), qr/repositories: /, 'names that are no JSON');
};

# ---- docker-archives ----

my $config = config_of('shapes', @ids);
my $id     = hex_of(digest($config));
my @packed = map { gzip_of($_) } @tars;

sub listed ($name, $config_name, @layers) { return json_of([ { Config => $config_name, RepoTags => [$name], Layers => \@layers } ]) }

# Each comes in as the repository of its name.
my %shape = (
    crane => [ "sha256:$id" => $config, (map { hex_of(digest($_)) . '.tar.gz' => $_ } @packed),
        'manifest.json' => listed('crane:1', "sha256:$id", map { hex_of(digest($_)) . '.tar.gz' } @packed) ],
    kaniko => [ (map { 'sha256:' . hex_of(digest($_)) . '.tar.gz' => $_ } @packed), 'sha256:config' => $config,
        'manifest.json' => listed('kaniko:1', 'sha256:config', map { 'sha256:' . hex_of(digest($_)) . '.tar.gz' } @packed) ],
    jib => [ (map { hex_of(digest($_)) . '.tar.gz' => $_ } @packed), 'config.json' => $config,
        'manifest.json' => listed('jib:1', 'config.json', map { hex_of(digest($_)) . '.tar.gz' } @packed) ],
    nix => [ './' => '', './aaaa/' => '', './aaaa/layer.tar' => $tars[0], './aaaa/VERSION' => '1.0', './aaaa/json' => '{}', './bbbb/' => '',
        './bbbb/layer.tar' => $tars[1], "./$id.json" => $config, './manifest.json' => listed('nix:1', "$id.json", 'aaaa/layer.tar', 'bbbb/layer.tar'),
        './repositories' => json_of({ nix => { 1 => 'bbbb' } }) ],
    podman => [ (map { hex_of($ids[$_]) . '.tar' => $tars[$_], "l$_/layer.tar" => \("../" . hex_of($ids[$_]) . '.tar'), "l$_/VERSION" => '1.0', "l$_/json" => '{}' } 0, 1),
        "$id.json" => $config, 'manifest.json' => listed('podman:1', "$id.json", map { hex_of($_) . '.tar' } @ids), repositories => json_of({ podman => { 1 => 'l1' } }) ],
    docker => [ "aa/" => '', "aa/layer.tar" => $tars[0], 'aa/json' => '{}', 'bb/' => '', 'bb/layer.tar' => \'../aa/../cc/layer.tar', 'cc/' => '', 'cc/layer.tar' => $tars[1],
        "$id.json" => $config, 'manifest.json' => listed('docker:1', "$id.json", 'aa/layer.tar', 'bb/layer.tar'), repositories => json_of({ docker => { 1 => 'bb' } }) ],
);

subtest 'archives of other tools' => sub {
    for my $tool (sort keys %shape) {
        works(import_of(spew("$dir/$tool.tar", archive(@{ $shape{$tool} }))), $tool);
        is(files_of($tool, 1), $FILES, '... whole');
        is($registry->get("/v2/$tool/manifests/1")->json->{config}{digest}, "sha256:$id", '... the same image');
        mkdir "$dir/$tool";
        works(run([ 'tar', '-xf', "$dir/$tool.tar", '-C', "$dir/$tool", '--force-local' ]), '... unpacked');
        my $ran = import_of("$dir/$tool", '--prefix', 'dir');
        works($ran, '... it is imported as well');
        is($registry->get("/v2/dir/$tool/manifests/1")->content, $registry->get("/v2/$tool/manifests/1")->content, '... the same');
    }
};

subtest 'an image without layers' => sub {
    my $none = config_of('none');
    for my $layers (undef, []) {
        my $what = defined $layers ? 'empty' : 'null';
        my $list = json_of([ { Config => 'config.json', RepoTags => ["none:$what"], Layers => $layers } ]);
        works(import_of(spew("$dir/none.tar", archive('config.json' => $none, 'manifest.json' => $list))), "Layers: $what");
        is_deeply($registry->get("/v2/none/manifests/$what")->json->{layers}, [], '... is an image');
        is(files_of('none', $what), '', '... without files');
    }
};

# ---- layouts ----

my $layout = "$dir/layout";
my $image  = make_layout($layout, 'v1', 1000, 3000);

sub entry ($digest, %notes) { return { mediaType => $Registry::Client::TYPE{manifest}, digest => $digest, size => 1, annotations => \%notes } }
sub tagged ($repository, $tag) { return $registry->head("/v2/$repository/manifests/$tag")->header('Docker-Content-Digest') // '' }

subtest 'docker save since docker 25: a layout with a manifest.json' => sub {
    my $both = "$dir/both";
    my $made = make_layout($both, 'v1', 700);
    spew("$both/manifest.json", json_of([ { Config => 'blobs/sha256/x', RepoTags => ['both:wrong'], Layers => [] } ]));
    spew("$both/index.json", json_of({ schemaVersion => 2, manifests => [ entry($made, 'io.containerd.image.name' => 'docker.io/library/both:1', 'org.opencontainers.image.ref.name' => '1') ] }));
    works(import_of($both), 'import');
    is(tagged('both', 1), $made, 'the layout counts');
};

subtest 'cosign save' => sub {
    my $saved = "$dir/Saved";
    my $is    = make_layout($saved, 'x', 500);
    my @attached = map { my $made = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest}, layers => [],
        config => $registry->descriptor('application/vnd.oci.image.config.v1+json', '{}'), annotations => { is => $_ } });
        spew("$saved/blobs/sha256/" . hex_of(digest($made)), $made); digest($made) } qw(sigs atts);
    spew("$saved/blobs/sha256/" . hex_of(digest('{}')), '{}');
    my $kind = 'dev.cosignproject.cosign';
    my @them = (entry($attached[0], kind => "$kind/sigs"), entry($attached[1], kind => "$kind/atts"));
    spew("$saved/index.json", json_of({ schemaVersion => 2, manifests => [ entry($is, kind => "$kind/image"), @them ] }));
    my $ran = import_of($saved);
    works($ran, 'import');
    is(tagged('saved', 'latest'), $is, 'the image is the only one, and so the latest');
    my $tag = $is =~ s/:/-/r;
    is(tagged('saved', "$tag.sig"), $attached[0], 'its signatures have their tag');
    is(tagged('saved', "$tag.att"), $attached[1], '... and its attestations theirs');
    spew("$saved/index.json", json_of({ schemaVersion => 2, manifests => [ entry($is, kind => "$kind/image", 'org.opencontainers.image.ref.name' => 'reg.example.com/team/signed:3'), @them ] }));
    works(import_of($saved), 'with a name');
    is(tagged('team/signed', 3), $is, '... the image has it');
    is(tagged('team/signed', "$tag.sig"), $attached[0], '... and its signatures are with it');
    spew("$saved/index.json", json_of({ schemaVersion => 2, manifests => [ entry($is, 'org.opencontainers.image.ref.name' => 'good:1'),
        entry(digest('other'), kind => "$kind/image", 'org.opencontainers.image.ref.name' => 'BAD:2'), @them ] }));
    import_of($saved);
    is_deeply($registry->get('/v2/good/tags/list')->json->{tags}, ['1'], 'signatures of an image that is left out go to no other');
    spew("$saved/index.json", json_of({ schemaVersion => 2, manifests => [@them] }));
    works(import_of($saved, '--prefix', 'without'), 'signatures without an image');
    is_status($registry->get("/v2/without/saved/manifests/$attached[0]"), 200, '... are there by their digest');
};

# ---- compressed ----

subtest 'compressed archives' => sub {
    works(run([ 'tar', '-cf', "$dir/layout.tar", '-C', $layout, '.' ]), 'a tar of a layout');
    my %by  = (gz => ['gzip'], zst => [ 'zstd', '-q' ], xz => [ 'xz', '-T1' ], bz2 => ['bzip2']);
    my %tar = (layout => slurp("$dir/layout.tar"), crane => archive(@{ $shape{crane} }), before => archive(@before, repositories => $repositories));
    for my $end (sort keys %by) {
        for my $kind (sort keys %tar) {
            my $ran = import_of(spew("$dir/$kind.tar.$end", packed_by($tar{$kind}, @{ $by{$end} })), '--prefix', $end);
            works($ran, "$kind.tar.$end");
            like($ran->{out}, qr/\(0 linked/, '... is copied');
        }
        is(tagged("$end/layout", 'v1'), $image, '... the layout');
        is($registry->get("/v2/$end/crane/manifests/1")->json->{config}{digest}, "sha256:$id", '... the archive');
        is($registry->get("/v1/repositories/$end/old/app/tags/1.0")->json, $top, '... the old one');
    }
    works(import_of(spew("$dir/My-App.tgz", gzip_of($tar{layout}))), 'another ending');
    is(tagged('my-app', 'v1'), $image, '... is dropped as well');
    works(import_of(spew("$dir/nothing-said", gzip_of($tar{layout}))), 'whatever it is called');
    is(tagged('nothing-said', 'v1'), $image, '... it is known by its bytes');
    works(import_of(spew("$dir/members.tar", gzip_each(substr($tar{layout}, 0, 2000), substr $tar{layout}, 2000))), 'in two members');
    is_deeply([ $registry->files('uploads') ], [], 'nothing is left in uploads/');
};

subtest 'compressed by strangers' => sub {
    my $gzip = gzip_of(slurp("$dir/layout.tar"));
    my %bad  = (
        'cut short'                => [ substr($gzip, 0, 300), qr/the compressed file is cut short/ ],
        'damaged'                  => [ substr($gzip, 0, 200) . "\xff" x 100 . substr($gzip, 300), qr/the compressed file is damaged|not a tar/ ],
        'not a tar inside'         => [ gzip_of('hello ' x 1000), qr/not a tar/ ],
        'nothing inside'           => [ gzip_of(''), qr/not a tar/ ],
        'compressed twice'         => [ gzip_of($gzip), qr/not a tar/ ],
        'zeros, more than 200 to 1' => [ zeros_in_gzip(tar_of('f manifest.json []') =~ s/\0{1024}\z//r, 1500), qr/it expands to more than \d+ bytes/ ],
        'a window of 2 GiB'        => [ packed_by(slurp("$dir/layout.tar"), 'zstd', '-q', '--ultra', '--long=31'), qr/window needs too much memory/ ],
    );
    for my $what (sort keys %bad) {
        is_refused(import_of(spew("$dir/bad", $bad{$what}[0])), $bad{$what}[1], $what);
    }
    is_deeply([ $registry->files('uploads') ], [], 'nothing is left in uploads/');
};

# ---- what leads elsewhere, and what is there twice ----

subtest 'links and names' => sub {
    my $list = listed('links:1', 'config.json', 'a/layer.tar', 'b/layer.tar');
    my $outside = spew(tempdir() . '/layer.tar', $tars[1]);
    my $try = sub ($what, $pattern, $target) {
        my $at = tempdir();
        mkdir "$at/$_" for qw(a b);
        spew("$at/$_->[0]", $_->[1]) for [ 'config.json', $config ], [ 'manifest.json', $list ], [ 'a/layer.tar', $tars[0] ];
        symlink $target, "$at/b/layer.tar";
        my $ran = import_of($at);
        is($ran->{exit}, 1, "$what: exit code 1");
        like($ran->{err}, $pattern, '... and why');
        is(tagged('links', 1), '', '... nothing is there');
        my $in_tar = import_of(spew("$dir/links.tar", archive('config.json' => $config, 'manifest.json' => $list, 'a/layer.tar' => $tars[0], 'b/layer.tar' => \$target)));
        is($in_tar->{exit}, 1, '... the same in a tar');
        like($in_tar->{err}, qr/its layer b\/layer\.tar isn't there, or leads out of the archive/, '... and why');
    };
    $try->('an absolute link', qr/leads out of what is imported/, $outside);
    $try->('one out of it',    qr/leads out of what is imported/, '../..' . $outside);
    $try->('one to itself',    qr/symbolic link/,                 'layer.tar');
    $try->('one to nothing',   qr/isn't there/,                   '../c/layer.tar');
    my $ran = import_of(spew("$dir/links.tar", archive('config.json' => $config, 'manifest.json' => listed('links:1', 'config.json', $outside, 'a'), a => $tars[1])));
    like($ran->{err}, qr/its layer \Q$outside\E isn't there/, 'an absolute name');

    for my $name (qw(manifest.json config.json)) {
        my %files = ('manifest.json' => listed('twice:1', 'config.json', 'a', 'b'), 'config.json' => $config);
        my $twice = import_of(spew("$dir/twice.tar", archive($name => '[]', %files, a => $tars[0], b => $tars[1])));
        is($twice->{exit}, 1, "two files $name: exit code 1");
        like($twice->{err}, qr/the tar has two files called \Q$name\E/, '... are refused');
    }
    works(import_of(spew("$dir/twice.tar", archive('manifest.json' => listed('twice:1', 'config.json', 'a', 'b'), 'config.json' => $config, a => 'x', a => $tars[0], b => $tars[1]))),
        'a layer twice is the last one, as its digest must be');
};

finish();
