# The list of a repository's tags: sorted, in pages, never null.
use v5.36;
use Registry limit => 90;
use Registry::Checks;
use Registry::Tools;
use Test::More;

my $registry = Registry->start;
is_error($registry->get('/v2/no/such/tags/list'), 404, 'NAME_UNKNOWN', 'a repository that there is not');

my $layer = random_bytes(1000);
my ($config, $manifest) = $registry->image_of([$layer]);

sub fill ($name, @tags) {
    $registry->push_blob($name, $_) for $layer, $config;
    my $connection = $registry->connect;
    for my $tag (@tags) {
        my $response = $registry->put("/v2/$name/manifests/$tag", body => $manifest, on => $connection,
            headers => { 'Content-Type' => $Registry::Client::TYPE{manifest} });
        return $response if $response->status != 201;
    }
    return undef;
}

sub list ($name, $query = '') {
    my $response = $registry->get("/v2/$name/tags/list$query");
    return ($response, ($response->json // {})->{tags});
}

subtest 'no tags' => sub {
    is(fill('only/digest', digest($manifest)), undef, 'a manifest without a tag is pushed');
    my ($response) = list('only/digest');
    is_status($response, 200, 'the list', 'Content-Type' => qr{^application/json});
    is_deeply($response->json, { name => 'only/digest', tags => [] }, '... is empty, not null');
};

subtest 'order' => sub {
    my @tags = ('1', '1.0', '10', '2', 'A', 'Z', '_', 'a', 'a-b', 'a.b', 'aa', 'latest', 'v1', 'v1.10', 'v1.9');
    is(fill('team/app', reverse @tags), undef, 'tags are pushed');
    my ($response, $list) = list('team/app');
    is_deeply($response->json, { name => 'team/app', tags => [ sort @tags ] }, 'sorted by bytes');
    is($response->header('Link'), undef, 'all on one page');
    is_status($registry->head('/v2/team/app/tags/list'), 200, 'HEAD');
    is_deeply((list('team/app', '?last=a-b'))[1], [ grep { $_ gt 'a-b' } sort @tags ], 'after one of them');
    is_deeply((list('team/app', '?last=b'))[1],   [ grep { $_ gt 'b' } sort @tags ], 'after one that is not there');
    is_deeply((list('team/app', '?last=zzz'))[1], [], 'after the end');
    is_deeply((list('team/app', '?n=2&last=a%2Db'))[1], [ 'a.b', 'aa' ], 'escaped');
};

subtest 'neighbours' => sub {
    my @names = ('te', 'team', 'team/ap', 'team/app2', 'team/app/x');
    is(fill($_, 'of-' . tr{/}{-}r), undef, "$_ is pushed") for @names;
    is_deeply((list($_))[1], [ 'of-' . tr{/}{-}r ], "$_ has its own tag only") for @names;
};

subtest 'pages' => sub {
    my @tags = map { sprintf 'v%03d', $_ } 1 .. 250;
    is(fill('many/tags', @tags), undef, '250 tags are pushed');
    my (@seen, @sizes);
    my $next = '/v2/many/tags/tags/list?n=100';
    while (defined $next && @sizes < 10) {
        my $response = $registry->get($next);
        push @seen, @{ $response->json->{tags} };
        push @sizes, scalar @{ $response->json->{tags} };
        my $link = $response->header('Link');
        last if !defined $link;
        like($link, qr{^</v2/many/tags/tags/list\?[^>]*>; rel="next"$}, 'a relative Link');
        ($next) = $link =~ /<([^>]*)>/;
    }
    is_deeply(\@seen,  \@tags, 'all tags, once each');
    is_deeply(\@sizes, [ 100, 100, 50 ], 'in pages');
    my ($response, $list) = list('many/tags', '?n=250');
    is(scalar @$list, 250, 'a page as large as the list');
    is($response->header('Link'), undef, '... has no next one');
    ($response, $list) = list('many/tags', '?n=0');
    is_deeply($list, [], 'n=0: an empty list');
    is($response->header('Link'), undef, '... and no Link');
    for my $n (100_000, 4294967297, '99999999999999999999999') {
        ($response, $list) = list('many/tags', "?n=$n");
        is_status($response, 200, "n=$n is bounded, not refused");
        cmp_ok(scalar @{ $list // [] }, '>=', 100, '... with a page of a good size');
    }
    is_error($registry->get("/v2/many/tags/tags/list?n=$_"), 400, qr/./, "n=$_") for 'x', '-1';
    is_status($registry->get('/v2/many/tags/tags/list?n=1&unknown=2'), 200, 'an unknown parameter');
};

finish();
