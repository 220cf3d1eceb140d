# "docker-registry-server show": an image on one page, and the same facts as JSON.
use v5.36;
use Registry limit => 100;
use Registry::Checks;
use Registry::Tools;
use JSON::PP ();
use Test::More;

my $OCI   = 'application/vnd.oci.image.manifest.v1+json';
my $INDEX = 'application/vnd.oci.image.index.v1+json';
my $TIME  = qr/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/;

my $registry = Registry->start(args => [ '--user', 'ann:secret' ], user => 'ann:secret');
sub show (@args) { return Registry->try([ 'show', @args, '--dir', $registry->dir ]) }

sub facts ($what) {
    my $ran = show($what, '--json');
    is($ran->{exit}, 0, "show $what --json") or diag($ran->{err});
    return JSON::PP->new->decode($ran->{out});
}

# An image with this config.
sub push_config ($repository, $tag, $config, @layers) {
    my $bytes    = json_of($config);
    my $manifest = json_of({
        schemaVersion => 2, mediaType => $OCI,
        config => $registry->descriptor('application/vnd.oci.image.config.v1+json', $bytes),
        layers => [ map { $registry->descriptor('application/vnd.oci.image.layer.v1.tar', $_) } @layers ],
    });
    is_status($registry->push_blob($repository, $_), 201, 'a part') for $bytes, @layers;
    is_status($registry->put_manifest($repository, $tag, $manifest), 201, "$repository:$tag");
    return ($manifest, $bytes);
}

my @layers = (random_bytes(3000), random_bytes(500));
my %run    = (User => '33', Entrypoint => [ '/bin/x', '-v' ], Cmd => ['run'], Env => [ 'PATH=/bin', 'A=1' ], Labels => { maintainer => "ann\e[31m\xc2\x9b" }, WorkingDir => '/srv');
my %config = (architecture => 'arm64', os => 'linux', variant => 'v8', created => '2026-01-02T03:04:05Z', config => \%run, rootfs => { type => 'layers', diff_ids => [] });
my ($manifest, $config) = push_config('a/b', 'v1', \%config, @layers);
my $digest = digest($manifest);

subtest 'an image' => sub {
    my $ran = show('a/b:v1');
    is($ran->{exit}, 0, 'show a/b:v1') or diag($ran->{err});
    is($ran->{err}, '', '... and nothing else');
    my $out = $ran->{out};
    like($out, qr/^a\/b:v1\n  digest       \Q$digest\E\n  is           image, \Q$OCI\E\n  platform     linux\/arm64\/v8\n/, 'its digest, type and platform');
    my $total = length($manifest) + length($config) + 3500;
    like($out, qr/^  size         \S+ kB with all that it needs; the manifest alone /m, 'its sizes');
    like($out, qr/^  pushed       $TIME\n  tagged       $TIME by ann\n  last pull    none since $TIME$/m, 'when it was pushed, by whom, and that nobody pulled it');
    like($out, qr/^config\n  digest       \Q@{[ digest($config) ]}\E\n  size         \S+ \w+\n  created      2026-01-02T03:04:05Z\n  user         33\n  directory    \/srv\n  entrypoint   \["\/bin\/x","-v"\]\n  command      \["run"\]\n  environment\n    PATH=\/bin\n    A=1\n  labels\n    maintainer=ann\?\[31m\?$/m, 'its config, without control characters') or diag($out);
    like($out, qr/^layers\n +3\.0 kB  \Q@{[ digest($layers[0]) ]}\E  application\/vnd\.oci\.image\.layer\.v1\.tar\n +500 bytes  \Q@{[ digest($layers[1]) ]}\E/m, 'its layers');
    like($out, qr/^kept by\n  is a manifest of a\/b\n  named by tag a\/b:v1\nin a\/b: stays as long as tag v1 names it\n\z/m, 'and who keeps it');
    unlike($out, qr/\e/, 'a file gets no colours');

    my $facts = facts('a/b:v1');
    is("$facts->{repository} $facts->{tag} $facts->{digest} $facts->{is}", "a/b v1 $digest image", '... the same as JSON');
    is($facts->{size}, length $manifest, '... sizes in bytes');
    is($facts->{total_size}, $total, '... also of the whole');
    is_deeply([ map { "$_->{digest} $_->{size}" } @{ $facts->{layers} } ], [ map { digest($_) . ' ' . length } @layers ], '... layers');
    is_deeply($facts->{config}{document}{config}{Entrypoint}, $run{Entrypoint}, '... the config as it is');
    is_deeply($facts->{manifest}, JSON::PP->new->decode($manifest), '... the manifest, too');
    is($facts->{kept}{manifests}[0]{verdict}, 'stays as long as tag v1 names it', '... and what explain says');
    is($facts->{last_pull}, undef, '... no pull');
    is(facts("a/b\@$digest")->{digest}, $digest, 'by its digest');
};

subtest 'a pull' => sub {
    is_status($registry->get('/v2/a/b/manifests/v1'), 200, 'a pull');
    like(facts('a/b:v1')->{last_pull}, qr/^$TIME$/, '... is told at once');
    like(show('a/b:v1')->{out}, qr/^  last pull    $TIME$/m, '... as text, too');
    is(facts("a/b\@$digest")->{last_pull}, undef, '... and was none of the digest');
    is_status($registry->get("/v2/a/b/manifests/$digest"), 200, 'a pull by the digest');
    like(facts("a/b\@$digest")->{last_pull}, qr/^$TIME$/, '... is one');
};

subtest 'an index, and what refers to an image' => sub {
    my ($second) = push_config('a/b', 'v2', { %config, architecture => 'amd64', variant => undef }, $layers[0]);
    my @entries = ({ %{ $registry->descriptor($OCI, $manifest) }, platform => { os => 'linux', architecture => 'arm64', variant => 'v8' } },
        { %{ $registry->descriptor($OCI, $second) }, platform => { os => 'linux', architecture => 'amd64' } });
    my $index = json_of({ schemaVersion => 2, mediaType => $INDEX, manifests => \@entries });
    is_status($registry->put_manifest('a/b', 'all', $index), 201, 'an index');
    my $facts = facts('a/b:all');
    is($facts->{is}, 'index', '... is one');
    is_deeply([ map { "$_->{platform} $_->{digest}" } @{ $facts->{manifests} } ], [ "linux/arm64/v8 $digest", 'linux/amd64 ' . digest($second) ], '... with its platforms');
    my %parts = map { $_ => 1 } $index, $manifest, $second, @layers, $config, json_of({ %config, architecture => 'amd64', variant => undef });
    my $sum = 0;
    $sum += length for keys %parts;
    is($facts->{total_size}, $sum, '... a layer of both counts once');
    like(show('a/b:all')->{out}, qr/^manifests\n +\d+ bytes  \Q$digest\E  linux\/arm64\/v8\n +\d+ bytes  \S+  linux\/amd64\n/m, '... as text');
    my $empty = '{}';
    is_status($registry->push_blob('a/b', $empty), 201, 'an empty config');
    my $signature = json_of({ schemaVersion => 2, mediaType => $OCI, artifactType => 'application/x.signature', config => $registry->descriptor('application/vnd.oci.empty.v1+json', $empty),
        layers => [ $registry->descriptor('application/vnd.oci.empty.v1+json', $empty) ], subject => $registry->descriptor($OCI, $manifest) });
    is_status($registry->put_manifest('a/b', digest($signature), $signature), 201, 'a signature');
    my $told = facts('a/b:v1');
    is_deeply([ map { "$_->{digest} $_->{artifact_type}" } @{ $told->{referrers} } ], [ digest($signature) . ' application/x.signature' ], '... is among the referrers');
    like(show('a/b:v1')->{out}, qr/^referrers\n +\d+ bytes  \Q@{[ digest($signature) ]}\E  application\/x\.signature\n/m, '... as text');
    my $of = facts('a/b@' . digest($signature));
    is("$of->{is} $of->{subject} $of->{artifact_type}", "artifact $digest application/x.signature", '... and names its subject');
};

subtest 'what is not here, and wrong words' => sub {
    for my $none ('a/b:none', 'no/where:v1', 'a/b@sha256:' . '0' x 64) {
        my $ran = show($none);
        is($ran->{exit}, 1, "$none: 1");
        is(scalar(split /\n/, $ran->{err}), 1, '... and one line') or diag($ran->{err});
        is($ran->{out}, '', '... and nothing else');
    }
    for my $wrong ([], ['a/b'], [$digest], [ 'a/b:v1', 'x' ], ['A/b:v1'], ['a/b@sha256:1']) {
        my $ran = show(@$wrong);
        is($ran->{exit}, 2, "@$wrong: 2") or diag($ran->{out});
        is(scalar(split /\n/, $ran->{err}), 1, '... and one line') or diag($ran->{err});
    }
};

subtest 'colours' => sub {
    plan skip_all => 'needs script' if !find_program('script');
    my $command = join ' ', Registry->program, 'show', 'a/b:v1', '--dir', $registry->dir;
    local $ENV{TERM} = 'xterm';
    like(run([ 'script', '-qec', $command, '/dev/null' ])->{out}, qr/\e\[1mlayers\e\[0m/, 'on a terminal');
    local $ENV{NO_COLOR} = '1';
    unlike(run([ 'script', '-qec', $command, '/dev/null' ])->{out}, qr/\e\[1m/, 'not with NO_COLOR');
};

my $before = facts('a/b:v1');
$registry->stop;
my $after = facts('a/b:v1');
delete @$_{'pulls_since'} for $before, $after;
is_deeply($after, $before, 'the same without a server');
finish();
