# What a list of the first API costs doesn't depend on the size of what the tags lead to.
use v5.36;
use Registry limit => 200;
use Registry::Checks;
use Registry::Client ();
use Registry::Tools;
use Registry::V1;
use List::Util qw(max);
use Test::More;
use Time::HiRes qw(time);

my $registry = Registry->start;
my $v1       = Registry::V1->new($registry);
my %TYPE     = %Registry::Client::TYPE;

sub hex_of ($bytes) { return digest($bytes) =~ s/^sha256://r }

my $layer = random_bytes(1000);
my ($config, $manifest) = $registry->image_of([$layer]);
$registry->push_blob('team/app', $_) for $layer, $config;
is_status($registry->put_manifest('team/app', digest($manifest), $manifest), 201, 'an image');

# An index of 4 MB.
sub large_index ($number) {
    return json_of({
        schemaVersion => 2, mediaType => $TYPE{index}, annotations => { map { ("$number-$_" => 'x' x 40) } 1 .. 70_000 },
        manifests => [ { %{ Registry::Client->descriptor('manifest', $manifest) }, platform => { os => 'linux', architecture => 'amd64' } } ],
    });
}

sub seconds ($work) {
    my $begin = time;
    $work->();
    return time - $begin;
}

# A list must cost less than reading so many documents of an index, by the slowest of three.
sub listed ($path, $limit, $name) {
    my $one = max(map { seconds(sub { $v1->get('/v1/repositories/team/app/tags/t0-0?platform=linux/amd64') }) } 1 .. 3);
    my $response;
    my $all = seconds(sub { $response = $v1->get($path) });
    cmp_ok($all, '<', $limit * $one, "$name: sooner than $limit documents are read");
    return $response;
}

subtest 'many tags of one' => sub {
    my $index = large_index(0);
    cmp_ok(length $index, '>', 3_500_000, 'a large index');
    my $path = '/v2/team/app/manifests/' . digest($index);
    for my $i (0 .. 5) {
        my $tags = join '&', map { "tag=t$i-$_" } 0 .. 9;
        is_status($registry->put("$path?$tags", body => $index, headers => { 'Content-Type' => $TYPE{index} }), 201, 'ten tags');
    }
    my %want = map { my $i = $_; map { ("t$i-$_" => hex_of($config)) } 0 .. 9 } 0 .. 5;
    is_deeply(listed('/v1/repositories/team/app/tags', 20, 'the tags')->json, \%want, '... all of them');
    is_deeply(listed('/v1/repositories/team/app/tags?platform=linux/amd64', 20, '... of a platform')->json, \%want, '... all of them');
    is(listed('/v1/repositories', 20, 'all repositories')->json->{'team/app:t5-9'}, hex_of($config), '... with the id');
    is_status(listed('/v1/repositories/team/app/images', 20, 'the images'), 200, '... are there');
};

subtest 'many of them' => sub {
    my @many = map { large_index($_) } 1 .. 24;
    is_status($registry->put_manifest('team/app', "m$_", $many[ $_ - 1 ]), 201, "index $_") for 1 .. @many;
    my $tags = listed('/v1/repositories/team/app/tags', 20, 'the tags')->json;
    is((grep { ($tags->{"m$_"} // '') eq hex_of($config) } 1 .. @many), scalar @many, '... with the ids of their images');
    is_v1_error(listed('/v1/repositories/team/app/tags?platform=linux/amd64', 100, '... of a platform'), 413, '... are too much');
    is($v1->get('/v1/repositories/team/app/tags/m24?platform=linux/amd64')->content, '"' . hex_of($config) . '"', '... but not one by one');
    is_status(listed('/v1/repositories/team/app/images', 100, 'the images'), 200, '... are listed');
    is_deeply(listed('/v1/repositories', 20, 'all repositories')->json->{'team/app:m24'}, hex_of($config), '... too');
};

subtest 'an image of the index goes and comes' => sub {
    is_status($registry->delete('/v2/team/app/manifests/' . digest($manifest)), 202, 'it goes');
    my $tags = listed('/v1/repositories/team/app/tags', 100, 'the tags')->json;
    is($tags->{'t0-0'}, hex_of(large_index(0)), 'the index has its own digest as an id');
    is_status($registry->put_manifest('team/app', digest($manifest), $manifest), 201, 'it comes again');
    is($v1->get('/v1/repositories/team/app/tags')->json->{'t0-0'}, hex_of($config), '... and is shown');
};

is_tidy($registry);
finish();
