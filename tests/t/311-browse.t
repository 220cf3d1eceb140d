# What is inside an image by its name: lists, entries, layers, history, platforms; names of any bytes;
# ranges of a large file.
use v5.36;
use Registry limit => 180;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Registry::Checks;
use Registry::Clients qw(curl);
use Registry::Layers;
use Registry::Tools;
use Test::More;

my $registry = Registry->start;

sub paths ($got) { return join ' ', map { $_->{path} } @{ $got->json // [] } }
sub at ($image, $what) { return $registry->get("/v2/team/app/_image/$image/$what") }

subtest 'times' => sub {
    my @times = ('-1.5', '-2', '-86400.25', '0.25', '1.000000001', '-0');
    push_layers($registry, 'team/times', 'v1', gzip_layer(tar_of(map { { name => "at$_", data => '', format => 'pax', pax => { mtime => $_ } } } @times)));
    my %got = map { $_->{path} => $_->{mtime} } @{ $registry->get('/v2/team/times/_image/v1/tree')->json };
    is($got{"/at$_"}, int(1000 * $_), $_) for @times;
};

subtest 'lists, entries and layers' => sub {
    my $low = gzip_layer(tar_of('d etc/', 'f etc/motd hello', 'f etc/old 12345', 'l lib usr/lib', 'f usr/lib/x.so xx', 'l abs /usr/lib/x.so',
        'l loop1 loop2', 'l loop2 loop1', 'p fifo', 'c dev', 'l dangling nowhere', 'h hard etc/motd', 'l up ../../../etc'));
    my $top = gzip_layer(tar_of('f etc/.wh.old', 'f etc/new 1', 'f usr/lib/y.so y', { name => 'suid', mode => 04755, uid => 3_000_000_000,
        gid => 7, mtime => 1_234_567_890, data => 'x', format => 'pax', pax => { mtime => '1234567890.5' } }));
    my $digest = push_layers($registry, 'team/app', 'v1', $low, $top);
    my ($bottom, $upper) = (digest($low->{blob}), digest($top->{blob}));
    is_status(my $root = at('v1', 'tree'), 200, 'the root', 'Docker-Distribution-Api-Version' => 'registry/2.0', 'Content-Type' => 'application/json');
    is(paths($root), '/abs /dangling /dev /etc/ /fifo /hard /lib /loop1 /loop2 /suid /up /usr/', '... sorted');
    is(at($digest, 'tree')->content, $root->content, 'the same by digest');
    my %entry = map { $_->{path} => $_ } @{ $root->json };
    is_deeply($entry{'/suid'}, { path => '/suid', type => 'file', size => 1, mode => 04755, mtime => 1234567890500, uid => 3000000000,
        gid => 7, layer => $upper, image => $entry{'/suid'}{image} }, 'an entry of the top layer');
    is_deeply({ map { $_ => $entry{$_}{type} } keys %entry }, { '/abs' => 'symlink', '/dangling' => 'symlink', '/dev' => 'character-device',
        '/etc/' => 'directory', '/fifo' => 'fifo', '/hard' => 'link', '/lib' => 'symlink', '/loop1' => 'symlink', '/loop2' => 'symlink',
        '/suid' => 'file', '/up' => 'symlink', '/usr/' => 'directory' }, 'types');
    is($entry{'/hard'}{linkname}, 'etc/motd', 'what a hard link leads to');
    is($entry{'/dev'}{layer}, $bottom, 'an entry of the layer below');
    my $manifest = $registry->get("/v2/team/app/manifests/$digest")->json;
    my ($d1, $d2) = map { digest($_->{tar}) } $low, $top;
    is("sha256:$entry{'/suid'}{image}", $manifest->{config}{digest}, 'image: of the top layer, the config');
    is("sha256:$entry{'/dev'}{image}", $d1, '... of the one below, its chain id');

    is(paths(at('v1', 'tree/etc')), '/etc/motd /etc/new', 'a directory');
    is(paths(at('v1', 'tree/lib/')), '/lib/x.so /lib/y.so', 'a symbolic link to a directory is followed');
    is(paths(at('v1', 'tree/up')), '/up/motd /up/new', '... and never leads out');
    is(at('v1', 'blobs/abs')->content, 'xx', 'an absolute link stays inside');
    is(at('v1', 'blobs/lib/y.so')->content, 'y', 'a link in the middle');
    is(at('v1', 'blobs/hard')->content, 'hello', 'a hard link');
    is_error(at('v1', "blobs/$_"), 404, 'NOT_FOUND', "blobs/$_") for qw(loop1 dangling etc fifo dev etc/old etc/motd/x nothing), '';
    is_error(at('v1', "tree/$_"), 404, 'NOT_FOUND', "tree/$_") for qw(loop1 dangling etc/motd fifo nothing);
    is_error(at('v1', "stat/$_"), 404, 'NOT_FOUND', "stat/$_") for qw(nothing etc/old etc/motd/ dangling/);
    is(at('v1', 'stat/lib')->json->{type}, 'symlink', 'stat shows a link itself');
    is(at('v1', 'stat/lib/')->json->{type}, 'directory', '... and behind a slash what it leads to');
    is(at('v1', 'stat/etc')->json->{path}, '/etc/', 'a directory has a slash');
    is(at('v1', 'stat')->json->{path}, '/', 'the root');
    is_deeply(at('v1', 'stat/suid')->json, $entry{'/suid'}, 'stat is the entry of the list');

    is(paths(at('v1', 'layers/0/tree/etc')), '/etc/motd /etc/old', 'the lowest layer alone');
    is(paths(at('v1', 'layers/1/tree/etc/')), '/etc/new', 'the next one alone');
    is(paths(at('v1', 'layers/1/tree')), '/etc/ /suid /usr/', '... its root');
    is(at('v1', $_)->json->{errors}[0]{detail}{hint}, "tree/ lists the image's files, and history its layers", "$_: where to look")
        for qw(blobs/etc tree/nothing layers/5/tree);
    is_error(at('v1', "layers/$_/tree"), 404, 'NOT_FOUND', "layer $_") for 2, 'x', '-1', '99999999999999999999';
    is_error($registry->get('/v2/team/app/_image/v2/tree'), 404, 'MANIFEST_UNKNOWN', 'no such tag');
    is_error($registry->get('/v2/team/nothing/_image/v1/tree'), 404, 'NAME_UNKNOWN', 'no such repository');
    is_error($registry->get("/v2/team/app/_image/$_/tree"), 400, qr/TAG_INVALID|DIGEST_INVALID/, "no tag: $_") for '-x', 'sha256:ab';
    is_error(at('v1', $_), 404, 'NAME_UNKNOWN', "no route: $_") for 'trees', 'layers/0', '';
    is_error($registry->put('/v2/team/app/_image/v1/tree/x', body => 'x'), 405, 'UNSUPPORTED', 'PUT');

    my $history = at('v1', 'history')->json;
    is_deeply($history, [
        { created => '', created_by => '', size => length $low->{blob}, empty => JSON::PP::false, digest => $bottom, files => 4, hidden_bytes => 5 },
        { created => '', created_by => '', size => length $top->{blob}, empty => JSON::PP::false, digest => $upper, files => 3, hidden_bytes => 0 },
    ], 'the history of an image without one') or diag(at('v1', 'history')->content);
};

subtest 'a history' => sub {
    my @layers = map { gzip_layer(tar_of(@$_)) } [ 'f a aaaa', 'h b a', 'f c cc' ], [ 'f c c' ], [ 'f .wh.a' ];
    my $config = json_of({
        architecture => 'amd64', os => 'linux', rootfs => { type => 'layers', diff_ids => [ map { $_->{diff_id} } @layers ] },
        history => [
            { created => '2024-01-01T00:00:00Z', created_by => 'ADD a' }, { created => '2024-01-02T00:00:00Z', created_by => 'ENV x', empty_layer => JSON::PP::true },
            { created_by => "RUN \xc3\xa9" }, { created => '2024-01-03T00:00:00Z', created_by => 'RUN rm a' },
        ],
    });
    my $manifest = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest}, config => $registry->descriptor('config', $config),
        layers => [ map { $registry->descriptor('layer_gzip', $_->{blob}) } @layers ] });
    $registry->push_blob('team/app', $_) for $config, map { $_->{blob} } @layers;
    is_status($registry->put_manifest('team/app', 'told', $manifest), 201, 'pushed');
    my @got = @{ at('told', 'history')->json };
    is(join(' ', map { $_->{created_by} } @got), "ADD a ENV x RUN \x{e9} RUN rm a", 'what made each');
    is(join(' ', map { $_->{created} || '-' } @got), '2024-01-01T00:00:00Z 2024-01-02T00:00:00Z - 2024-01-03T00:00:00Z', 'when');
    is(join(' ', map { $_->{empty} ? 'empty' : $_->{files} } @got), '3 empty 1 0', 'their files');
    is(join(' ', map { $_->{hidden_bytes} } @got), '2 0 0 0', 'hidden: the old c; a is still there as b');
    is($got[1]{digest} . $got[1]{size}, '0', 'an empty one has no layer');
};

subtest 'platforms, and what is no image' => sub {
    my %of = map { $_ => push_layers($registry, 'team/multi', $_, gzip_layer(tar_of("f which $_"))) } qw(amd64 arm64 armv7 windows s390x);
    my $entry = sub ($name, %platform) {
        my $document = $registry->get("/v2/team/multi/manifests/$of{$name}")->content;
        return { %{ $registry->descriptor('manifest', $document) }, %platform ? (platform => \%platform) : () };
    };
    my $index = sub ($tag, @entries) {
        my $document = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index}, manifests => \@entries });
        is_status($registry->put_manifest('team/multi', $tag, $document), 201, "index $tag");
        return $registry->descriptor('index', $document);
    };
    my $which = sub ($tag, $platform = undef) {
        return $registry->get("/v2/team/multi/_image/$tag/blobs/which" . (defined $platform ? "?platform=$platform" : ''))->content;
    };
    my @all = ($entry->('windows', os => 'windows', architecture => 'amd64'), $entry->('arm64', os => 'linux', architecture => 'arm64', variant => 'v8'),
        $entry->('armv7', os => 'linux', architecture => 'arm', variant => 'v7'), $entry->('amd64', os => 'linux', architecture => 'amd64'));
    my $whole = $index->('all', @all);
    $index->('no-amd64', @all[ 0 .. 2 ]);
    $index->('windows-only', $all[0]);
    $index->('nested', $entry->('s390x', os => 'linux', architecture => 's390x'), $whole);
    is($which->('all'), 'amd64', 'linux/amd64, if nothing is asked for');
    is($which->('no-amd64'), 'arm64', '... else the first of linux');
    is($which->('windows-only'), 'windows', '... else the first');
    is($which->('all', 'linux/arm64'), 'arm64', 'linux/arm64');
    is($which->('all', 'linux/arm/v7'), 'armv7', 'with its variant');
    is($which->('all', 'linux/arm'), 'armv7', 'without');
    is($which->('all', 'windows/amd64'), 'windows', 'windows');
    is($which->('nested', 'linux/amd64'), 'amd64', 'an index in an index');
    is_error($registry->get('/v2/team/multi/_image/all/tree?platform=linux/s390x'), 404, 'MANIFEST_UNKNOWN', 'one that there is none of');
    is_error($registry->get('/v2/team/multi/_image/all/tree?platform=linux/arm/v5'), 404, 'MANIFEST_UNKNOWN', 'another variant');
    is_error($registry->get('/v2/team/multi/_image/amd64/tree?platform=linux/arm64'), 404, 'MANIFEST_UNKNOWN', 'an image of another platform');
    is($which->('amd64', 'linux/amd64'), 'amd64', 'an image of this one');
    is_error($registry->get("/v2/team/multi/_image/all/tree?platform=$_"), 400, 'UNSUPPORTED', "no platform: '$_'") for '', 'linux', 'linux/', '/amd64', 'a/b/c/d', 'a/b/';
    is($registry->get('/v2/team/multi/_image/all/tree?n=1&platform=linux/arm64')->header('Link'), undef, 'the last page has no Link');

    my $sbom = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest}, artifactType => 'application/spdx+json',
        config => $registry->descriptor('application/vnd.oci.empty.v1+json', '{}'), layers => [ $registry->descriptor('application/spdx+json', '{"a":1}') ] });
    $registry->push_blob('team/multi', $_) for '{}', '{"a":1}';
    is_status($registry->put_manifest('team/multi', 'sbom', $sbom), 201, 'an artifact');
    is_error($registry->get("/v2/team/multi/_image/sbom/$_"), 404, 'MANIFEST_UNKNOWN', "... has no $_") for 'tree', 'blobs/x', 'history', 'stat/x', 'layers/0/tree';
    like($registry->get('/v2/team/multi/_image/sbom/tree')->message, qr/not an image/, '... and says why');
};

subtest 'names of any bytes' => sub {
    my @names = ('a b', "new\nline", 'per%cent', '%25', 'quo"te', "quo'te", 'back\\slash', 'q?x=1&n=2', 'hash#x', '+', '...', '.dot', '..two', 'semi;colon',
        "\xff\xfe", "caf\xc3\xa9", "e\xcc\x81", "\x01", "\x7f", 'tree', 'blobs', '_image', 'x' x 255, '-', '<b>', "tab\t", '*', '~', 'C:');
    my @entries;
    push @entries, { name => "d/$_", data => "is $_", format => 'gnu' }, { name => "$_.d/in", data => 'in', format => 'gnu' } for grep { length $_ < 250 } @names;
    push @entries, { name => "d/$_", data => "is $_", format => 'gnu' } for grep { length $_ >= 250 } @names;
    push_layers($registry, 'team/names', 'x', gzip_layer(tar_of(@entries)));
    my $escape = sub ($name) { return $name =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ger };
    my (@wrong, %seen);
    my $list = $registry->get('/v2/team/names/_image/x/tree/d');
    for my $e (@{ $list->json }) {
        my $bytes = defined $e->{path_b64} ? MIME::Base64::decode_base64($e->{path_b64}) : do { my $t = $e->{path}; utf8::encode($t); $t };
        $seen{ $bytes =~ s{^/d/}{}r } = $e;
    }
    is_deeply([ sort keys %seen ], [ sort @names ], 'all are listed');
    is_deeply([ map { defined $seen{$_}{path_b64} ? 1 : () } @names ], [1], 'only what is no UTF-8 has path_b64');
    is($seen{"\xff\xfe"}{path}, "/d/\x{fffd}\x{fffd}", '... and is marked in its path');
    is_deeply([ map { my $t = $_->{path}; utf8::encode($t); $t } grep { !$_->{path_b64} } @{ $list->json } ], [ map { "/d/$_" } grep { $_ ne "\xff\xfe" } sort @names ], 'in the order of bytes');
    for my $name (@names) {
        my $got = $registry->get('/v2/team/names/_image/x/blobs/d/' . $escape->($name));
        push @wrong, "$name: " . $got->describe if $got->status != 200 || $got->content ne "is $name";
        push @wrong, "$name: " . $got->header('Content-Disposition')
            if $got->header('Content-Disposition') !~ /^attachment; filename="[ -~]*"; filename\*=UTF-8''\Q${\ $escape->($name)}\E$/;
        push @wrong, "$name: stat" if $registry->get('/v2/team/names/_image/x/stat/d/' . $escape->($name))->json->{size} != length "is $name";
        my $in = length $name < 250 ? $registry->get('/v2/team/names/_image/x/tree/' . $escape->("$name.d"))->json : undef;
        push @wrong, "$name.d: its list" if length $name < 250 && (ref $in ne 'ARRAY' || @$in != 1);
    }
    ok(!@wrong, scalar(@names) . ' files, by their names') or diag(@wrong);
    my ($next, @got) = '/v2/team/names/_image/x/tree/d?n=3';
    for (1 .. 20) {
        my $page = $registry->get($next);
        push @got, map { $_->{path_b64} // $_->{path} } @{ $page->json };
        ($next) = ($page->header('Link') // '') =~ /^<(.*)>; rel="next"$/ or last;
    }
    is_deeply(\@got, [ map { $_->{path_b64} // $_->{path} } @{ $list->json } ], 'the same in pages of three');
};

subtest 'a path is one path' => sub {
    push_layers($registry, 'team/secret', 'v1', gzip_layer(tar_of('f key secret', 'd d/', 'f d/x in')));
    my $base = '/v2/team/secret/_image/v1';
    is($registry->get("$base/blobs/$_")->content, 'secret', "blobs/$_") for 'key', '/key', './key', 'd/../key', '%6bey', 'd/%2e%2e/key', 'd%2f..%2fkey', '//d/.././/key';
    is($registry->get("$base/blobs/$_")->status, 404, "blobs/$_") for 'key%2520', 'KEY', 'key%20', 'key%0a';
    is_error($registry->get($_), [ 400, 404 ], qr/./, $_)
        for "$base/blobs/../blobs/key", "$base/tree/%2e%2e/blobs/key", "$base/x/../blobs/key", "/v2/team/x/../secret/_image/v1/blobs/key", "$base//blobs/key",
        "$base/./blobs/key", '/v2/team%2fsecret/_image/v1/blobs/key', '/v2//team/secret/_image/v1/blobs/key', "$base/blobs/../../../manifests/v1",
        "$base%2fblobs/key", '/v2/team/secret/_image/%2e%2e/_image/v1/blobs/key', "$base/tree/..", "$base/blobs/../../../../../../etc/passwd";
    is_error($registry->get("$base/blobs/d/../../key"), 400, 'UNSUPPORTED', 'nginx takes ../.. for another path');
};

subtest 'ranges' => sub {
    my $size  = 3_000_000;
    my $bytes = join '', map { pack 'N', $_ * 2654435761 % 4294967296 } 1 .. $size / 4;
    push_layers($registry, 'team/large', 'v1', gzip_layer(tar_of('f small x', { name => 'big', data => $bytes, format => 'gnu' }, 'f last y')));
    my $path = '/v2/team/large/_image/v1/blobs/big';
    my $whole = $registry->get($path);
    ok($whole->content eq $bytes, 'the whole file');
    my ($tag, $date) = map { $whole->header($_) } 'ETag', 'Last-Modified';
    my @wrong;
    for (1 .. 200) {
        my $from = int rand $size;
        my $n    = 1 + int rand(rand() < 0.5 ? 2000 : $size - $from);
        $n = $size - $from if $n > $size - $from;
        my $got = $registry->get($path, headers => { Range => "bytes=$from-" . ($from + $n - 1) });
        push @wrong, "$from+$n: " . $got->status
            if $got->status != 206 || $got->content ne substr($bytes, $from, $n) || $got->header('Content-Range') ne "bytes $from-" . ($from + $n - 1) . "/$size";
    }
    ok(!@wrong, '200 random ranges') or diag(@wrong[ 0 .. 3 ]);
    my $range = sub ($text, %more) { return $registry->get($path, headers => { Range => $text, %more }) };
    is($range->('bytes=-10')->content, substr($bytes, -10), 'the last ten');
    is($range->('bytes=2999990-')->content, substr($bytes, -10), 'from there on');
    is($range->('bytes=2999990-9999999')->content, substr($bytes, -10), 'a longer one is cut');
    is_status($range->("bytes=$size-"), 416, 'behind the end', 'Content-Range' => "bytes */$size");
    is_status($range->($_), 200, "ignored: $_", 'Content-Range' => undef) for 'bytes=0-1,5-6', 'lines=1-2', 'bytes=x', 'bytes=9-2';
    is_status($range->('bytes=0-1', 'If-Range' => $tag), 206, 'If-Range');
    is_status($range->('bytes=0-1', 'If-Range' => $date), 206, 'If-Range with the date');
    is_status($range->('bytes=0-1', 'If-Range' => $_), 200, "If-Range: $_") for '"other"', "W/$tag", 'Tue, 01 Jan 2019 00:00:00 GMT';
    is_status($registry->get($path, headers => { 'If-None-Match' => $_ }), 304, "If-None-Match: $_", ETag => $tag) for $tag, "\"x\", $tag", '*';
    is_status($registry->get($path, headers => { 'If-None-Match' => '"x"' }), 200, 'another tag');
    is_status($registry->head($path), 200, 'HEAD', 'Content-Length' => $size, ETag => $tag, 'Accept-Ranges' => 'bytes');
    push_layers($registry, 'team/large', 'again', gzip_layer(tar_of({ name => 'big', data => $bytes, format => 'gnu' })));
    isnt($registry->head('/v2/team/large/_image/again/blobs/big')->header('ETag'), $tag, 'another layer, another tag');
    is_status($registry->get('/v2/team/large/_image/v1/blobs/small', headers => { Range => 'bytes=0-0' }), 206, 'one byte of one');
};

subtest 'layers into which nobody can look' => sub {
    my $good = gzip_layer(tar_of('f a a'));
    my $bad  = raw_layer('this is no tar ' x 100);
    push_layers($registry, 'team/bad', 'v1', $good, $bad);
    my $digest = digest($bad->{blob});
    is_error(my $got = $registry->get("/v2/team/bad/_image/v1/$_"), 422, 'UNSUPPORTED', $_) for 'tree', 'blobs/a', 'stat/a', 'layers/1/tree';
    like($registry->get('/v2/team/bad/_image/v1/tree')->message, qr/\Q$digest\E is not browsable: ./, 'the layer is named, with why');
    is(paths($registry->get('/v2/team/bad/_image/v1/layers/0/tree')), '/a', 'the other layer alone can be seen');
    is_deeply([ map { [ $_->{files}, $_->{hidden_bytes} ] } @{ $registry->get('/v2/team/bad/_image/v1/history')->json } ], [ [ 1, undef ], [ undef, undef ] ], 'the history says what it knows');
    is_status($registry->get("/v2/team/bad/blobs/$digest"), 200, 'the layer itself is served');
};

subtest 'a layer that is elsewhere' => sub {
    my $low  = gzip_layer(tar_of('f a a'));
    my $far  = { %{ gzip_layer(tar_of('f b far')) }, urls => ['https://example.com/layer'] };
    my $top  = gzip_layer(tar_of('f c c', 'f a x'));
    my $size = length $low->{blob};
    my $id   = push_layers($registry, 'team/far', 'v1', $low, $far, $top);
    my $gone = digest($far->{blob});
    push_layers($registry, 'team/far', 'whole', $low, $top);
    is_error($registry->get("/v2/team/far/_image/$_"), 422, 'UNSUPPORTED', $_)
        for map({ "v1/$_" } 'tree', 'blobs/a', 'stat/a', 'archive', 'find?name=*', 'layers/1/tree', 'diff?from=whole'), 'whole/diff?from=v1';
    like($registry->get('/v2/team/far/_image/v1/tree')->message, qr/\Q$gone\E isn't in this registry/, 'the layer is named, with why');
    is(paths($registry->get("/v2/team/far/_image/v1/layers/$_->[0]/tree")), $_->[1], "layer $_->[0] can be seen") for [ 0, '/a' ], [ 2, '/a /c' ];
    is_deeply([ map { [ @$_{qw(digest size files hidden_bytes)} ] } @{ $registry->get("/v2/team/far/_image/$id/history")->json } ],
        [ [ digest($low->{blob}), $size, 1, undef ], [ $gone, undef, undef, undef ], [ digest($top->{blob}), length $top->{blob}, 2, undef ] ],
        'the history says what it knows');
    my $v1 = $registry->get('/v1/repositories/team/far/tags/v1')->json;
    is_status($registry->get("/v1/images/$v1/tree"), 422, 'the tree of the first API');
};

subtest 'many layers' => sub {
    my $layer = gzip_layer(tar_of('f a b'));
    push_layers($registry, 'team/deep', "v$_", ($layer) x $_) for 512, 513;
    is(paths($registry->get('/v2/team/deep/_image/v512/tree')), '/a', '512 can be looked into');
    is_error(my $more = $registry->get('/v2/team/deep/_image/v513/tree'), 422, 'UNSUPPORTED', '... and one more cannot');
    like($more->message, qr/has 513 layers: at most 512/, '... which says how many there are');
};

subtest 'many entries' => sub {
    my $n   = 20_000;
    my $tar = join '', map { tar_entry(name => sprintf('many/%06d', $_)) } 1 .. $n;
    push_layers($registry, 'team/many', 'v1', gzip_layer($tar . tar_end()));
    my $all = $registry->get('/v2/team/many/_image/v1/tree/many');
    is(scalar @{ $all->json }, $n, "$n in one list");
    my ($last) = $registry->get('/v2/team/many/_image/v1/tree/many?n=1000&last=019500');
    is(paths($last) =~ tr/ // + 1, 500, 'the last page');
    is($last->header('Link'), undef, '... has no next');
};
finish();
