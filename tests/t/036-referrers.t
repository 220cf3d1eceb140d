# What refers to an image is listed, and so are the repositories.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use JSON::PP qw(decode_json);
use Test::More;

my $registry = Registry->start(expected => qr{a manifest or a config is damaged on the disk});
my $type     = $Registry::Client::TYPE{manifest};
my $layer    = random_bytes(1000);
my ($config, $image) = $registry->image_of([$layer]);
$registry->push_blob('team/app', $_) for $layer, $config, '{}';
is_status($registry->put_manifest('team/app', 'v1', $image), 201, 'an image');

sub artifact ($kind, $n, %more) {
    return json_of({
        schemaVersion => 2, mediaType => $type, artifactType => $kind,
        config        => { %{ $registry->descriptor('application/vnd.oci.empty.v1+json', '{}') } },
        layers        => [ $registry->descriptor('text/plain', $layer) ],
        subject       => $registry->descriptor($type, $image),
        annotations   => { number => "$n" }, %more,
    });
}

sub referrers ($query = '', $digest = digest($image), $name = 'team/app') {
    return $registry->get("/v2/$name/referrers/$digest$query");
}

sub digests ($response) {
    return [ map { $_->{digest} } @{ $response->json->{manifests} } ];
}

my $nothing = referrers();
is_status($nothing, 200, 'nothing refers to it yet', 'Content-Type' => 'application/vnd.oci.image.index.v1+json');
is_deeply($nothing->json,
    { schemaVersion => 2, mediaType => 'application/vnd.oci.image.index.v1+json', manifests => [] }, '... an empty index');
is_deeply(digests(referrers('', digest('x'))), [], 'nor to what is not there');
is_deeply(digests(referrers('', digest('x'), 'no/where')), [], 'nor in a repository that is not there');
is_error(referrers('', 'sha256:xyz'), 400, 'DIGEST_INVALID', 'a bad digest');

my %of = map { ($_ => artifact($_ % 2 ? 'text/x-sig' : 'text/x-sbom', $_)) } 1 .. 9;
for my $n (sort keys %of) {
    my $response = $registry->put_manifest('team/app', digest($of{$n}), $of{$n}, $type);
    is_status($response, 201, "artifact $n", 'OCI-Subject' => digest($image));
}
my @all = sort map { digest($_) } values %of;
is_deeply(digests(referrers()), \@all, 'all of them are listed');
my ($first) = grep { $_->{digest} eq digest($of{1}) } @{ referrers()->json->{manifests} };
is_deeply($first, { mediaType => $type, digest => digest($of{1}), size => length $of{1},
    artifactType => 'text/x-sig', annotations => { number => '1' } }, 'with all that a descriptor has');
my $filtered = referrers('?artifactType=text/x-sig');
is_deeply(digests($filtered), [ sort map { digest($of{$_}) } 1, 3, 5, 7, 9 ], 'by type');
is($filtered->header('OCI-Filters-Applied'), 'artifactType', '... and it says so');
is(referrers()->header('OCI-Filters-Applied'), undef, 'but not without');

subtest 'pages' => sub {
    my (@seen, $pages);
    for (my $next = "/v2/team/app/referrers/" . digest($image) . '?n=4'; defined $next && ++$pages < 9;) {
        my $response = $registry->get($next);
        push @seen, @{ digests($response) };
        ($next) = ($response->header('Link') // '') =~ /<([^>]*)>/;
    }
    is_deeply(\@seen, \@all, 'each once');
    is($pages, 3, 'in three pages');
};

subtest 'the fallback tag' => sub {
    my $old   = artifact('text/x-old', 0);
    my $plain = json_of({ %{ decode_json($old) }, annotations => { from => 'old' } });
    my %j     = %{ decode_json($plain) };
    delete $j{subject};
    $plain = json_of(\%j);
    is_status($registry->put_manifest('team/app', digest($plain), $plain, $type), 201, 'an artifact without a subject');
    my $index = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index},
        manifests => [ map { $registry->descriptor($type, $_) } $plain, $of{1} ] });
    my $tag = digest($image) =~ s/:/-/r;
    is_status($registry->put_manifest('team/app', $tag, $index, $Registry::Client::TYPE{index}), 201, 'and an index in the tag');
    is_deeply(digests(referrers()), [ sort @all, digest($plain) ], 'it is listed with the others, each once');
    is_deeply(digests(referrers('?artifactType=text/x-old')), [ digest($plain) ], 'and filtered');
    is_status($registry->get("/v2/team/app/manifests/$tag"), 200, 'the tag works');

    # The specification cuts the hex digits of a longer digest to 64.
    my $long = digest($image, 'sha512');
    my $cut  = 'sha512-' . substr $long, 7, 64;
    is_status($registry->put_manifest('team/app', $cut, $index, $Registry::Client::TYPE{index}), 201, 'the tag of a sha512 digest');
    is_deeply(digests(referrers('', $long)), [ sort map { digest($_) } $plain, $of{1} ], '... counts as well');
};

subtest 'large ones' => sub {
    my @large = map { artifact('text/x+large', $_, annotations => { x => $_ x 4_100_000 }) } 1 .. 5;
    is_status($registry->put_manifest('team/app', digest($_), $_, $type), 201, 'one of 4 MB') for @large;
    my (@seen, $pages, @sizes);
    for (my $next = '/v2/team/app/referrers/' . digest($image) . '?artifactType=text/x%2Blarge'; defined $next && ++$pages < 20;) {
        my $response = $registry->get($next);
        is_status($response, 200, "page $pages", 'OCI-Filters-Applied' => 'artifactType');
        push @seen,  @{ digests($response) };
        push @sizes, length $response->content;
        ($next) = ($response->header('Link') // '') =~ /<([^>]*)>/;
    }
    is_deeply(\@seen, [ sort map { digest($_) } @large ], 'each once, and only these');
    is((grep { $_ > 8_500_000 } @sizes), 0, '... in pages of a bounded size') or diag("@sizes");
    is_status($registry->delete('/v2/team/app/manifests/' . digest($_)), 202, 'it goes again') for @large;
};

subtest 'large ones hide no other from clients that read one page' => sub {
    my $subject = digest('one with large referrers');
    my %more    = (subject => { mediaType => $type, digest => $subject, size => 1 });
    my @large   = map { artifact('text/x-large', $_, %more, fill => $_ . 'x' x 4_100_000) } 1 .. 18;
    my @long    = map { artifact('text/x-long', $_, %more, annotations => { x => $_ x 3_000_000 }) } 1 .. 2;
    my @small   = map { artifact('text/x-sig', $_, %more) } 1 .. 3;
    is_status($registry->put_manifest('team/app', digest($_), $_, $type), 201, 'one of them') for @large, @long, @small;

    my $response = referrers('', $subject);
    is_status($response, 200, 'a list', Link => undef);
    is_deeply(digests($response), [ sort map { digest($_) } @large, @long, @small ], '... of all, in one page');
    cmp_ok(length $response->content, '<', 1_000_000, '... of a moderate size');
    my %of = map { $_->{digest} => $_->{annotations} } @{ $response->json->{manifests} };
    is_deeply([ map { $of{ digest($_) } } @small ], [ map { { number => "$_" } } 1 .. 3 ], '... small ones with their annotations');
    is_deeply([ map { $of{ digest($_) } } @long ], [ undef, undef ], '... those with too long annotations without these');
    my @with = grep { defined $of{ digest($_) } } @large;
    my ($room, %read) = (16 << 20); # REFERRERS_READ_MAX; the long ones take their part of it
    for my $document (sort { digest($a) cmp digest($b) } @large, @long) {
        next if length $document > $room;
        $room -= length $document;
        $read{$document} = 1;
    }
    is_deeply([ sort map { digest($_) } @with ], [ sort map { digest($_) } grep { $read{$_} } @large ], '... large ones with theirs, as long as they may be read');
    cmp_ok(scalar @with, '>', 1, '... which are several');
    cmp_ok(scalar @with, '<', 18, '... and then without');

    my @wide = map { artifact('text/x-wide', $_, %more, annotations => { x => $_ . 'x' x 120_000 }) } 1 .. 40;
    is_status($registry->put_manifest('team/app', digest($_), $_, $type), 201, 'one with annotations that are not too long') for @wide;
    my (%seen, $pages, @sizes);
    for (my $next = "/v2/team/app/referrers/$subject?artifactType=text/x-wide"; defined $next && ++$pages < 9;) {
        my $page = $registry->get($next);
        push @sizes, length $page->content;
        $seen{ $_->{digest} } = length $_->{annotations}{x} for @{ $page->json->{manifests} };
        ($next) = ($page->header('Link') // '') =~ /<([^>]*)>/;
    }
    is_deeply([ sort keys %seen ], [ sort map { digest($_) } @wide ], 'all of these are listed');
    is((grep { $_ < 120_000 } values %seen), 0, '... with their annotations');
    is($pages, 2, '... in two pages');
    is((grep { $_ > 4 << 20 } @sizes), 0, '... of 4 MiB at most');
};

subtest 'annotations that no client in Go can read' => sub {
    my %bad = (list => ['x'], number => { x => 1 }, object => { x => {} }, null => { x => undef }, text => 'x');
    for my $what (sort keys %bad) {
        my $document = artifact('text/x-bad', 0, annotations => $bad{$what});
        is_error($registry->put_manifest('team/app', digest($document), $document, $type), 400, 'MANIFEST_INVALID', "refused: $what");
    }
    my $layers = artifact('text/x-bad', 0, layers => [ { %{ $registry->descriptor('text/plain', $layer) }, annotations => { x => 1 } } ]);
    is_error($registry->put_manifest('team/app', 'bad', $layers, $type), 400, 'MANIFEST_INVALID', '... and those of a layer');
    my $none = artifact('text/x-none', 0, annotations => undef);
    is_status($registry->put_manifest('team/app', digest($none), $none, $type), 201, 'null is none');
    my ($listed) = grep { $_->{digest} eq digest($none) } @{ referrers()->json->{manifests} };
    ok($listed && !exists $listed->{annotations}, '... and is listed without');
    is_status($registry->delete('/v2/team/app/manifests/' . digest($none)), 202, 'it goes again');
};

is_status($registry->delete('/v2/team/app/manifests/' . digest($of{1})), 202, 'one is deleted');
is_deeply([ grep { $_ eq digest($of{1}) } @{ digests(referrers()) } ], [], '... and is no referrer any more');

subtest 'repositories' => sub {
    is_deeply($registry->get('/v2/_catalog')->json, { repositories => ['team/app'] }, 'one');
    $registry->start_upload('only/begun');
    my @names = sort map { ("r$_", "r$_/x") } 'a' .. 'm';
    for my $name (@names) {
        $registry->push_blob($name, $_) for $layer, $config;
        $registry->put_manifest($name, 'v1', $image);
    }
    my @want = sort @names, 'team/app';
    is_deeply($registry->get('/v2/_catalog')->json->{repositories}, \@want, 'sorted, without empty ones');
    my (@seen, $pages);
    for (my $next = '/v2/_catalog?n=10'; defined $next && ++$pages < 9;) {
        my $response = $registry->get($next);
        push @seen, @{ $response->json->{repositories} };
        ($next) = ($response->header('Link') // '') =~ /<([^>]*)>/;
    }
    is_deeply(\@seen, \@want, 'in pages, each once');
    is($pages, 3, 'three of them');
    is_deeply($registry->get('/v2/_catalog?n=0')->json->{repositories}, [], 'n=0');
    is_status($registry->delete('/v2/ra/manifests/' . digest($image)), 202, 'the only image of one goes');
    is_deeply($registry->get('/v2/_catalog')->json->{repositories}, [ grep { $_ ne 'ra' } @want ], '... and so does it');
};

subtest 'files that are lost' => sub {
    my @large = map { artifact('text/x+lost', $_, annotations => { x => $_ x 100_000 }) } 1 .. 3;
    is_status($registry->put_manifest('team/app', digest($_), $_, $type), 201, 'a large one') for @large;
    my ($gone, $cut) = map { $registry->dir . "/" . ($registry->blob_files(digest($_)))[0] } @large[ 0, 1 ];
    unlink $gone or die "$gone: $!";
    truncate $cut, 10 or die "$cut: $!";
    my $response = referrers('?artifactType=text/x%2Blost');
    is_status($response, 200, 'one is lost, and one is short');
    is_deeply(digests($response), [ sort map { digest($_) } @large ], '... and all are listed');
    my %annotations = map { $_->{digest} => $_->{annotations} } @{ $response->json->{manifests} };
    is_deeply([ map { $annotations{ digest($_) } } @large ], [ undef, undef, { x => 3 x 100_000 } ], '... two of them without annotations');
};

subtest 'several tags at once' => sub {
    my $path = '/v2/team/app/manifests/' . digest($image);
    my $response = $registry->put("$path?tag=x&tag=y&tag=x", body => $image, headers => { 'Content-Type' => $type });
    is_status($response, 201, 'a push by digest');
    is_status($registry->head("/v2/team/app/manifests/$_"), 200, "$_", 'Docker-Content-Digest' => digest($image)) for 'x', 'y';
    is_error($registry->put("$path?tag=-x", body => $image, headers => { 'Content-Type' => $type }), 400, 'TAG_INVALID', 'a bad one');
};

subtest 'mounting from anywhere' => sub {
    my $response = $registry->post('/v2/other/app/blobs/uploads/?mount=' . digest($layer));
    is_status($response, 201, 'a blob that is somewhere', 'Docker-Content-Digest' => digest($layer));
    is_blob($registry, 'other/app', $layer, 'it is there');
    is_status($registry->post('/v2/other/app/blobs/uploads/?mount=' . digest('nowhere')), 202, 'one that is nowhere');
};

finish();
