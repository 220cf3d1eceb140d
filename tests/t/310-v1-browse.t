# What is inside an image of the first API: the recorded images, as a container of each would see them.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use Registry::V1;
use Test::More;

my $registry = Registry->start;
my $v1 = Registry::V1->new($registry);
my %image = map { $_ => image($_) } qw(A B C E);
is_status($_->[1], $_->[2], $_->[0]) for $v1->push_images('foo/bar', 'latest', map { $image{$_} } qw(A B C E));
my %id    = map { $_ => $image{$_}{id} } keys %image;
my %layer = map { $_ => digest($image{$_}{layer}) } keys %image;

sub tree ($image, $path) { return $registry->get("/v1/images/$id{$image}/tree$path") }
sub blob ($image, $path) { return $registry->get("/v1/images/$id{$image}/blobs$path") }

# An entry as it ought to be: the letter of its image, path, type, size, mode, mtime, and a link's name.
sub entry ($of, $path, $type, $size, $mode, $mtime, $linkname = undef) {
    my $link = defined $linkname ? qq("linkname":"$linkname",) : '';
    return qq({"path":"$path","type":"$type","size":$size,"mode":$mode,"mtime":${mtime}000,"image":"$id{$of}",)
        . qq($link"uid":0,"gid":0,"layer":"$layer{$of}"});
}

my $ROOT = '/ro' . 'ot';    # a check of the sources takes it for a machine's
my ($T, $U, $V) = (1400000000, 1400000001, 1400000002);

sub is_tree ($image, $path, @entries) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $got = tree($image, $path);
    is_status($got, 200, "$image tree$path", 'Content-Type' => 'application/json', 'X-Docker-Registry-Version' => qr/./,
        'Access-Control-Allow-Origin' => '*');
    return is($got->content, '[' . join(',', @entries) . ']', '... is what it ought to be');
}

subtest 'directories' => sub {
    my @A = (entry('A', '/bin/', 'directory', 0, 493, $T), entry('A', '/etc/', 'directory', 0, 493, $T),
        entry('A', "$ROOT/", 'directory', 0, 493, $T));
    is_tree('A', $_, @A) for '', '/', '//', '/.', '/etc/..', '/bin/../etc/./..';
    is_tree('A', $_, entry('A', '/etc/a', 'file', 4, 420, $T), entry('A', '/etc/gone', 'file', 5, 420, $T),
        entry('A', '/etc/hard', 'link', 0, 420, $T, 'etc/a')) for '/etc', '/etc/', '//etc//', '/./etc';
    is_tree('A', '/bin', entry('A', '/bin/bash', 'symlink', 0, 511, $T, 'sh'), entry('A', '/bin/sh', 'file', 7, 420, $T));
    is_tree('B', '/etc', entry('B', '/etc/a', 'file', 4, 420, $U), entry('A', '/etc/hard', 'link', 0, 420, $T, 'etc/a'));
    is_tree('B', $ROOT, entry('B', "$ROOT/new", 'file', 2, 420, $U));
    my @C = (entry('B', '/etc/', 'directory', 0, 493, $U), entry('C', '/opt/', 'directory', 0, 493, $V),
        entry('B', "$ROOT/", 'directory', 0, 493, $U));
    is_tree('C', '', @C);
    is_tree('E', '', @C);
    is_tree('C', '/opt', entry('C', '/opt/v', 'file', 3, 420, $V));
    is_tree('A', "$ROOT/sub", entry('A', "$ROOT/sub/x", 'file', 2, 420, $T));
};

subtest 'files' => sub {
    my %want = (
        'A /etc/a' => "one\n", 'A /etc/hard' => "one\n", 'A /bin/bash' => "#!fake\n", 'A /bin/sh' => "#!fake\n", "A $ROOT/sub/x" => "s\n",
        'B /etc/a' => "two\n", 'B /etc/hard' => "one\n", 'B /bin/bash' => "#!fake\n", "B $ROOT/new" => "n\n",
        'C /opt/v' => "v1\n", 'C /etc/a' => "two\n", 'E /opt/v' => "v1\n", 'A //etc/../etc/./a' => "one\n",
    );
    for my $what (sort keys %want) {
        my ($image, $path) = split / /, $what;
        my $bytes = $want{$what};
        my ($name) = $path =~ m{([^/]+)$};
        my %headers = (
            'Content-Type' => 'application/octet-stream', 'Content-Length' => length $bytes, 'Accept-Ranges' => 'bytes',
            ETag => qr/^"[0-9a-f-]+"$/, 'Last-Modified' => qr/^Tue, 13 May 2014 16:53:2\d GMT$/, 'X-Content-Type-Options' => 'nosniff',
            'Content-Security-Policy' => qr/sandbox/, 'Content-Disposition' => qq(attachment; filename="$name"; filename*=UTF-8''$name),
            'Content-Encoding' => undef, 'Access-Control-Allow-Origin' => '*',
        );
        is_status(my $got = blob($image, $path), 200, "$image blobs$path", %headers);
        is($got->content, $bytes, '... its bytes');
        is_status(my $head = $registry->head("/v1/images/$id{$image}/blobs$path"), 200, '... HEAD', %headers);
        is($head->content, '', '... without them');
    }
    is_status($registry->head("/v1/images/$id{A}/tree/etc"), 200, 'HEAD of a directory', 'Content-Type' => 'application/json');
};

subtest 'what is not there, or is something else' => sub {
    is_v1_error(blob(@$_), 404, "$_->[0] blobs$_->[1]")
        for [ 'B', '/etc/gone' ], [ 'B', "$ROOT/sub/x" ], [ 'C', '/bin/sh' ], [ 'C', '/bin/bash' ], [ 'A', '/etc' ], [ 'A', '/etc/' ],
        [ 'A', '/etc/a/' ], [ 'A', '/etc/a/b' ], [ 'A', '' ], [ 'A', '/' ], [ 'A', '/nothing' ], [ 'B', '/etc/.wh.gone' ];
    is_v1_error(tree(@$_), 404, "$_->[0] tree$_->[1]")
        for [ 'A', '/nothing' ], [ 'A', '/etc/a' ], [ 'A', '/bin/bash' ], [ 'B', "$ROOT/sub" ], [ 'C', '/bin' ], [ 'A', '/etc/a/b' ];
    like(blob('A', '/etc')->json->{error}, qr/directory/, 'a directory is told to be one');
    my $none = 'ab' x 32;
    is_v1_error($registry->get("/v1/images/$none/$_"), 404, "no image: $_") for 'tree', 'tree/etc', 'blobs/etc/a';
    is_v1_error($registry->get("/v1/images/$id{A}/$_"), [ 404, 400 ], "no route: $_")
        for 'trees', 'tree/../etc', 'stat/etc', '../x/tree', 'tree/%2e%2e/json', 'tree/x/../../json';
    is_v1_error($registry->request('PUT', "/v1/images/$id{A}/tree/etc", body => '{}'), 405, 'PUT');
    is_v1_error($registry->get("/v1/images/$id{A}/tree/%zz"), 400, 'a bad escape');
    is_v1_error($registry->get("/v1/images/$id{A}/tree/a%00b"), 400, 'a NUL');
};

subtest 'short ids, slashes, pages' => sub {
    my $short = substr $id{A}, 0, 8;
    is($registry->get("/v1/images/$short/tree/etc")->content, tree('A', '/etc')->content, 'the first digits are enough');
    is($registry->get("/v1/images/$short/blobs/etc/a")->content, "one\n", '... for a file');
    my $paths = sub ($got) { return join ' ', map { $_->{path} } @{ $got->json } };
    my $first = $registry->get("/v1/images/$short/tree/etc?n=2");
    is_status($first, 200, 'a page', Link => qq(</v1/images/$short/tree/etc?n=2&last=gone>; rel="next"));
    is($paths->($first), '/etc/a /etc/gone', '... of two');
    my $second = $registry->get("/v1/images/$short/tree/etc?n=2&last=gone");
    is_status($second, 200, 'the next page', Link => undef);
    is($paths->($second), '/etc/hard', '... is the last');
    is($paths->($registry->get("/v1/images/$short/tree/etc?last=/etc/a")), '/etc/gone /etc/hard', 'last may be a path');
    is($paths->($registry->get("/v1/images/$short/tree?last=/bin/")), "/etc/ $ROOT/", '... or that of a directory');
    is($registry->get("/v1/images/$short/tree/etc?n=0")->content, '[]', 'a page of none');
    is_v1_error($registry->get("/v1/images/$short/tree/etc?n=x"), 400, 'n=x');
    is_status($registry->request('OPTIONS', "/v1/images/$short/tree/etc"), 204, 'OPTIONS');
};

subtest 'with a password' => sub {
    my $closed = Registry->start(args => [ '--user', 'ann:secret' ]);
    my $ann = $closed->with(user => 'ann:secret');
    my $session = Registry::V1->new($closed, user => 'ann:secret');
    is_status($_->[1], $_->[2], $_->[0]) for $session->push_images('foo/bar', 'latest', $image{A});
    for my $path ("/v1/images/$id{A}/tree/etc", "/v1/images/$id{A}/blobs/etc/a", '/v2/foo/bar/_image/latest/tree/etc') {
        is_status($closed->get($path), 401, "$path: without one");
        is_status($closed->with(user => 'ann:wrong')->get($path), 401, '... with a wrong one');
        is_status($ann->get($path), 200, '... with the right one');
    }
    is($ann->get('/v2/foo/bar/_image/latest/blobs/etc/a')->content, "one\n", 'a tag of the first API, by the second');
};
finish();
