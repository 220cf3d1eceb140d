# The tags of a repository with what a page shows of them: digests, sizes, platforms, times, tags that share a digest.
use v5.36;
use Registry limit => 120;
use JSON::PP ();
use Registry::Checks;
use Registry::Tools;
use Registry::V1;
use Test::More;
use Time::HiRes qw(time);

my $registry = Registry->start(args => [ '--max-tags', 0 ]);
my %TYPE     = %Registry::Client::TYPE;

sub page ($query = '', $name = 'team/app') { return $registry->get("/v2/$name/_tags$query") }
sub names ($response) { return [ map { $_->{name} } @{ $response->json->{tags} } ] }

sub walk ($query) {
    my ($next, @all) = ("/v2/many/tags/_tags$query");
    for (my $n = 0; defined $next && $n < 400; $n++) {
        my $page = $registry->get($next);
        is($page->status, 200, $next) or last if $n < 3;
        push @all, @{ names($page) };
        ($next) = ($page->header('Link') // '') =~ /^<([^>]*)>; rel="next"$/;
    }
    return \@all;
}

my @layers = map { random_bytes(1000 * $_) } 1 .. 3;

subtest 'an image' => sub {
    is_error(page(), 404, 'NAME_UNKNOWN', 'no such repository');
    is_status($registry->push_image('team/app', 'v1', [ @layers[ 0, 1 ] ]), 201, 'an image');
    my $manifest = $registry->get('/v2/team/app/manifests/v1');
    is_status($manifest, 200, 'which is pulled');
    my $digest = $manifest->header('Docker-Content-Digest');
    is_status(page(), 200, 'a page', 'Content-Type' => 'application/json');
    my ($is) = @{ page()->json->{tags} };
    my $size = $manifest->json->{config}{size} + 3000;
    is_deeply([ sort keys %$is ], [ sort qw(name digest media_type artifact_type pushed size platforms updated by pulled siblings more_siblings) ], 'its members');
    is($is->{digest}, $digest, 'its digest');
    is($is->{size}, $size, 'its size: config and layers');
    is($is->{media_type}, $manifest->json->{mediaType}, 'its media type');
    is($is->{artifact_type}, '', '... and that it is no artifact');
    is_deeply($is->{siblings}, [], 'no other tag is the same');
    like($is->{$_}, qr/^20\d\d-.*Z$/, "its time: $_") for qw(updated pushed);
    for my $p (@{ $is->{platforms} }) {
        is($p->{digest}, $digest, 'the platform is its own');
        is($p->{size},   $size,   '... with its size');
    }
    is_status($registry->put_manifest('team/app', $_, $manifest->content), 201, "the same as $_") for 'latest', 'stable';
    my %tags = map { $_->{name} => $_ } @{ page()->json->{tags} };
    is_deeply([ sort @{ $tags{v1}{siblings} } ], [qw(latest stable)], 'two other tags are the same');
    is($tags{v1}{more_siblings}, JSON::PP::false, '... and no more');
    is_status($registry->put_manifest('team/app', digest($manifest->content) . '?' . join('&', map { "tag=s$_" } 1 .. 16), $manifest->content), 201, '16 more');
    is_status($registry->put_manifest('team/app', digest($manifest->content) . '?' . join('&', map { "tag=t$_" } 1 .. 5), $manifest->content), 201, '5 more');
    %tags = map { $_->{name} => $_ } @{ page()->json->{tags} };
    is(scalar @{ $tags{v1}{siblings} }, 20, 'twenty are listed');
    is($tags{v1}{more_siblings}, JSON::PP::true, '... and that there are more');
    is_status($registry->head('/v2/team/app/_tags'), 200, 'HEAD');
};

subtest 'an index, an artifact' => sub {
    my @entries;
    for my $architecture (qw(amd64 arm64)) {
        my ($config, $manifest) = $registry->image_of([ $layers[2] ], note => $architecture);
        $registry->push_blob('team/multi', $_) for $config, $layers[2];
        is_status($registry->put_manifest('team/multi', digest($manifest), $manifest), 201, "an image for $architecture");
        push @entries, { %{ $registry->descriptor($TYPE{manifest}, $manifest) }, platform => { os => 'linux', architecture => $architecture, variant => $architecture eq 'arm64' ? 'v8' : '' } };
    }
    push @entries, { %{ $entries[0] }, platform => { os => 'unknown', architecture => 'unknown' } };
    my $index = json_of({ schemaVersion => 2, mediaType => $TYPE{index}, manifests => \@entries });
    is_status($registry->put_manifest('team/multi', 'v1', $index, $TYPE{index}), 201, 'an index');
    my ($is) = @{ page('', 'team/multi')->json->{tags} };
    is_deeply([ map { "$_->{platform} $_->{digest}" } @{ $is->{platforms} } ], [ map { my $p = $_->{platform}; "linux/$p->{architecture} $_->{digest}" } @entries[ 0, 1 ] ],
        'its platforms');
    cmp_ok($is->{platforms}[0]{size}, '>', 3000, '... with sizes');
    cmp_ok($is->{size}, '>', 6000, '... and the size of all');
    is($is->{artifact_type}, '', '... and it is no artifact');
    my $empty = json_of({ schemaVersion => 2, mediaType => $TYPE{index}, manifests => [] });
    is_status($registry->put_manifest('team/multi', 'empty', $empty, $TYPE{index}), 201, 'an empty index');
    my ($none) = grep { $_->{name} eq 'empty' } @{ page('', 'team/multi')->json->{tags} };
    is_deeply([ @$none{qw(size platforms)} ], [ 0, [] ], '... has nothing');

    my $blob = 'a chart';
    $registry->push_blob('team/charts', $_) for '{}', $blob;
    my %manifest = (schemaVersion => 2, mediaType => $TYPE{manifest}, layers => [ $registry->descriptor('application/gzip', $blob) ]);
    my %type     = (
        chart => { config => $registry->descriptor('application/vnd.cncf.helm.config.v1+json', '{}') },
        named => { config => $registry->descriptor('application/vnd.oci.empty.v1+json',        '{}'), artifactType => 'application/x.named' },
        # The config of an image, but its layers cannot be unpacked.
        other => { config => $registry->descriptor('config', '{}') },
    );
    is_status($registry->put_manifest('team/charts', $_, json_of({ %manifest, %{ $type{$_} } })), 201, "an artifact: $_") for sort keys %type;
    is_deeply({ map { $_->{name} => $_->{artifact_type} } @{ page('', 'team/charts')->json->{tags} } },
        { chart => 'application/vnd.cncf.helm.config.v1+json', named => 'application/x.named', other => $TYPE{config} }, '... says what it is');
};

subtest 'an image of the first API' => sub {
    my $image = Registry::V1::random_image();
    my $at    = "/v1/images/$image->{id}";
    $registry->put("$at/json",  body => $image->{json});
    $registry->put("$at/layer", body => 'no tar, so no manifest is made of it');
    $registry->put("$at/checksum", body => '', headers => { 'X-Docker-Checksum-Payload' => payload_of($image->{json}, 'no tar, so no manifest is made of it') });
    is_status($registry->put('/v1/repositories/old/image/tags/x', body => "\"$image->{id}\""), 200, 'is tagged');
    my ($is) = @{ page('', 'old/image')->json->{tags} };
    is_deeply([ @$is{qw(name id digest size platforms media_type)} ], [ 'x', $image->{id}, undef, undef, undef, undef ], '... and has an id instead of a digest');
};

subtest 'orders' => sub {
    my $empty = json_of({ schemaVersion => 2, mediaType => $TYPE{index}, manifests => [] });
    my @tags  = qw(1.9 1.10 1.10-rc1 1.2 v2 v10 v010 latest a a1b2 a1b10 007 7 0 123456789012345678901234567890 123456789012345678901234567891);
    for (@tags) {
        is_status($registry->put_manifest('many/tags', $_, $empty, $TYPE{index}), 201, "tag $_");
        select undef, undef, undef, 0.002; # so that no two have the same millisecond
    }
    my @natural = qw(0 007 7 1.2 1.9 1.10 1.10-rc1 123456789012345678901234567890 123456789012345678901234567891 a a1b2 a1b10 latest v2 v010 v10);
    @natural = sort { ($a eq '0' ? 0 : 1) <=> ($b eq '0' ? 0 : 1) } @natural;
    my $got = walk('');
    is_deeply([ grep { /^(?:1\.|v|a1)/ } @$got ], [ grep { /^(?:1\.|v|a1)/ } @natural ], 'natural order') or diag("@$got");
    is_deeply([ grep { /^\d+$/ } @$got ], [qw(0 007 7 123456789012345678901234567890 123456789012345678901234567891)], '... of numbers of any length');
    is_deeply(walk("?n=$_"),            $got, "... in pages of $_") for 1, 2, 3, 16, 17;
    is_deeply(walk('?order=name'),      [ sort @tags ],    'the order of bytes');
    is_deeply(walk("?order=name&n=$_"), [ sort @tags ], "... in pages of $_") for 1, 5, 16;
    is_deeply(walk('?order=time'),      [ reverse @tags ], 'the newest first') or diag("@{ walk('?order=time') }");
    is_deeply(walk("?order=time&n=$_"), walk('?order=time'), "... in pages of $_") for 1, 3, 16;
    is_deeply(walk("?order=$_&name=1B&n=1"), $_ eq 'time' ? [qw(a1b10 a1b2)] : $_ eq 'name' ? [qw(a1b10 a1b2)] : [qw(a1b2 a1b10)], "those with a text, $_") for qw(natural name time);
    is_deeply(names(page('?n=0', 'many/tags')), [], 'n=0');
    is_error(page("?$_", 'many/tags'), 400, 'UNSUPPORTED', $_) for 'order=x', 'n=x', 'order=time&last=x', 'order=time&last=1x,v';
    is_status(page('?last=' . 'z' x 3000, 'many/tags'), 200, 'behind any text');
    is_deeply(names(page('?order=name&last=v2', 'many/tags')), [], 'behind the last one');
};

subtest 'many tags' => sub {
    my $empty = json_of({ schemaVersion => 2, mediaType => $TYPE{index}, manifests => [], annotations => { for => 'many' } });
    my @wrong = grep { $_ != 201 } map {
        my $from = 16 * $_;
        $registry->put_manifest('lots', digest($empty) . '?' . join('&', map { 'tag=v' . ($from + $_) } 0 .. 15), $empty, $TYPE{index})->status
    } 0 .. 199;
    is_deeply(\@wrong, [], '3200 tags of one image');
    my $since = time;
    my $page  = page('?n=1000', 'lots');
    cmp_ok(time - $since, '<', 5, sprintf 'a page of 1000 in %.3f s', time - $since);
    is_deeply(names($page), [ map { "v$_" } 0 .. 999 ], '... in order');
};
finish();
