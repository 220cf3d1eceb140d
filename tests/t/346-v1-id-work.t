# Any number of manifests can claim an id of the first API: a look-up reads a few of them, and no large config.
use v5.36;
use Registry limit => 200;
use Registry::Checks;
use Registry::Client ();
use Registry::Tools;
use Registry::V1;
use Test::More;
use Time::HiRes qw(time);

my $registry = Registry->start;
my $v1       = Registry::V1->new($registry);

# A config of nearly as many values as are parsed, each with so many escapes, and so many manifests that show it, each with
# another layer that isn't here, so that none can be proven. The id of all of them.
sub claimed ($n, $escapes) {
    my $config = json_of({
        architecture => 'amd64', os => 'linux', config => {}, rootfs => { type => 'layers', diff_ids => [ digest(random_bytes(9)) ] },
    });
    $config =~ s/^\{/'{"pad":[' . join(',', ('"' . '\\u00e9' x $escapes . '"') x 9500) . '],'/e;
    is_status($registry->push_blob('a/b', $config), 201, 'a config of ' . length($config) . ' bytes');
    my @put = map {
        my $layer = Registry::Client->descriptor('application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', random_bytes(9));
        $registry->put_manifest('a/b', "v$_", json_of({
            schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest},
            config => Registry::Client->descriptor('config', $config),
            layers => [ { %$layer, urls => ['https://example.com/x'] } ],
        }));
    } 1 .. $n;
    is(scalar(grep { $_->status == 201 } @put), $n, "... in $n manifests");
    my $id = digest($config) =~ s/^sha256://r;
    ok(wait_for(60, sub { $v1->get_json($id)->status == 404 }), '... none of which can be proven');
    return $id;
}

sub median (@v) { return (sort { $a <=> $b } @v)[ @v / 2 ] }

# How much longer a request takes for the first id than for the second.
sub ratio ($ask, $one, $other) {
    my %took;
    for (1 .. 7) {
        for my $id ($one, $other) {
            my $begin = time;
            $ask->($id);
            push @{ $took{$id} }, time - $begin;
        }
    }
    my ($a, $b) = map { median(@{ $took{$_} }) } $one, $other;
    note(sprintf '%.3f s, and %.3f s', $a, $b);
    return $a / $b;
}

my $few   = claimed(4,  15);
my $many  = claimed(40, 15);
my $large = claimed(4,  68);

my %asks = (
    'a look-up'             => sub ($id) { $v1->get_json($id) },
    'a look-up by short id' => sub ($id) { $v1->get_json(substr $id, 0, 12) },
    'a push upon it'        => sub ($id) { $v1->put_json(Registry::V1::random_image($id)) },
);
cmp_ok(ratio($asks{$_}, $many, $few), '<', 3, "$_ takes as long for an id of forty manifests as for one of four") for sort keys %asks;
cmp_ok(ratio($asks{$_}, $large, $few), '<', 0.5, "$_ takes less with larger configs, which aren't parsed") for sort keys %asks;

# With sanitizers a look-up may take so long that an address has as many at once as it may.
sub status_of_look_up ($id) {
    my $status;
    wait_for(60, sub { $status = $v1->get_json($id)->status; $status != 429 || !Registry->sanitized });
    return $status;
}

my ($health, @rest) = in_parallel(9, 120, sub ($i) {
    return [ map { $i == 0 ? $registry->get('/healthz')->status : status_of_look_up($many) } 1 .. 10 ];
});
is_deeply($health, [ (200) x 10 ], 'health is answered while many ask for it');
is_deeply(\@rest, [ ([ (404) x 10 ]) x 8 ], '... who are answered, too');

is_tidy($registry);
finish();
