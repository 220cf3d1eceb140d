package Registry::SampleHistory;

# A second sample of format 1, as Registry::SampleStore: what the program kept beside images when its version became 1.0. Tags that
# were moved and deleted, a manifest in the trash, a quota, a referrer, a user's note of a pull, and a snapshot of the database.
use v5.36;
use Exporter qw(import);
use JSON::PP ();
use Registry::Checks;
use Registry::Client;
use Registry::Tools;
use Test::More;

our @EXPORT = qw(fill_history check_history history_options);

# The history has no end while the sample is as young as it will ever be.
sub history_options () { return ('--quota', 'sample/** 1M', '--history-keep', '36500d', '--snapshot-keep', 1) }

sub layer_of ($text) { return $text x 1000 }
sub image_with ($registry, $text) { return $registry->image_of([ layer_of($text) ]) }

sub tag ($registry, @args) { return Registry->try([ 'tag', @args, '--dir', $registry->dir, '--history-keep', '36500d' ]) }

# The sum of what the quota counts, as the program says.
sub used ($registry) {
    my $du = JSON::PP::decode_json(Registry->try([ 'repo', 'du', 'sample/app', '--json', '--dir', $registry->dir ])->{out});
    return (map { $_->{used} } @{ $du->{all}{quotas} })[0];
}

sub signature_of ($registry) {
    my ($config, $manifest) = image_with($registry, 'three');
    my $subject = { mediaType => $Registry::Client::TYPE{manifest}, digest => digest($manifest), size => length $manifest };
    return json_of({
        schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest}, artifactType => 'application/x.signature', subject => $subject,
        config => { mediaType => 'application/vnd.oci.empty.v1+json', digest => digest('{}'), size => 2 }, layers => [],
    });
}

sub fill_history ($registry) {
    is_status($registry->push_image('sample/app', 'v1', [ layer_of($_) ]), 201, "an image, $_") for 'one', 'two', 'three';
    is_status($registry->push_image('sample/app', 'v2', [ layer_of('gone') ]), 201, 'an image that goes');
    my ($config, $gone) = image_with($registry, 'gone');
    is_status($registry->delete('/v2/sample/app/manifests/' . digest($gone)), 202, '... into the trash');
    is_status($registry->push_blob('sample/app', '{}'), 201, 'an empty config');
    my $signature = signature_of($registry);
    is_status($registry->put_manifest('sample/app', digest($signature), $signature), 201, 'a signature');
    is_status($registry->get('/v2/sample/app/manifests/v1'), 200, 'a pull');
    works(Registry->try([ 'snapshot', '--dir', $registry->dir, '--snapshot-keep', 1 ]), 'a snapshot');
    return;
}

sub check_history ($registry) {
    my %manifest = map { $_ => (image_with($registry, $_))[1] } 'one', 'two', 'three', 'gone';
    is($registry->get('/v2/sample/app/manifests/v1')->content, $manifest{three}, 'a tag names what it did');
    is_status($registry->get('/v2/sample/app/manifests/v2'), 404, 'a tag that was deleted is not there');
    my $referrers = $registry->get('/v2/sample/app/referrers/' . digest($manifest{three}))->json;
    is_deeply([ map { $_->{digest} } @{ $referrers->{manifests} } ], [ digest(signature_of($registry)) ], 'the signature is known');
    my $counted = used($registry);
    cmp_ok($counted, '>', 4 * 3000, 'the quota counts');

    my $history = tag($registry, 'history', 'sample/app:v1');
    works($history, 'the history of a tag');
    is(scalar(() = $history->{out} =~ /sha256:/g), 5, '... has its three moves') or diag($history->{out});
    works(tag($registry, 'undo', 'sample/app:v1'), 'an undo');
    is($registry->get('/v2/sample/app/manifests/v1')->content, $manifest{two}, '... to the image before');
    works(tag($registry, 'restore', 'sample/app:v2'), 'a tag that was deleted comes back');
    is($registry->get('/v2/sample/app/manifests/v2')->content, $manifest{gone}, '... with its manifest');
    is_blob($registry, 'sample/app', layer_of('gone'), '... and its layer');
    cmp_ok(used($registry), '>', $counted, '... which counts again');
    is_error($registry->push_image('sample/app', 'v3', [ random_bytes(1 << 20) ]), 403, 'DENIED', 'the quota refuses what is too much');
    return;
}

1;
