# docker, podman, skopeo, an old docker and plain clients push and pull through a load balancer that sends each request to
# another one of two servers of one database; and people look into what they pushed.
use v5.36;
use Registry limit => 400;
use Registry::Checks;
use Registry::Clients;
use Registry::Images;
use Registry::Nodes;
use Registry::Tools;
use Registry::V1;
use Test::More;

skip_or_fail($_) for Registry::Nodes->missing // ();

my $nodes   = Registry::Nodes->start(2, user => 'ann:secret', args => [ '--user', 'ann:secret' ]);
my @each    = $nodes->all;
my $address = '127.0.0.1:' . $nodes->port;
my $tmp     = tempdir();
my @SIZES   = (40 << 20, 9 << 20, 1 << 20, 1000);

# Each server alone has a tag, and each of its blobs, whole.
sub has_each ($repository, $tag, $digest) {
    for my $i (0, 1) {
        my $got = $each[$i]->get("/v2/$repository/manifests/$tag");
        is_status($got, 200, "server $i has $repository:$tag", 'Docker-Content-Digest' => $digest);
        my @wrong = grep { digest($each[$i]->get("/v2/$repository/blobs/$_")->content) ne $_ } map { $_->{digest} } $got->json->{config}, @{ $got->json->{layers} };
        is_deeply(\@wrong, [], '... with its blobs');
    }
    return;
}

subtest 'skopeo' => sub {
    plan skip_all => 'skopeo is not installed' if !find_program('skopeo') && ($ENV{CI} // '') ne 'true';
    my @push = ('copy', '--dest-tls-verify=false', '--dest-creds', 'ann:secret');
    my @pull = ('copy', '--src-tls-verify=false', '--src-creds', 'ann:secret');
    my $digest = make_layout("$tmp/skopeo", 'v1', @SIZES);
    works(skopeo(@push, "oci:$tmp/skopeo:v1", "docker://$address/team/skopeo:v1"), 'push');
    has_each('team/skopeo', 'v1', $digest);
    works(skopeo(@pull, "docker://$address/team/skopeo:v1", "oci:$tmp/skopeo-back:v1"), 'pull');
    is_deeply([ layout_digests("$tmp/skopeo-back") ], [ layout_digests("$tmp/skopeo") ], 'the same blobs come back');
    $digest = make_layout_index("$tmp/multi", 'v1', 60_000, 40_000);
    works(skopeo(@push, '--all', "oci:$tmp/multi:v1", "docker://$address/team/multi:v1"), 'an index of two platforms');
    works(skopeo(@pull, '--all', "docker://$address/team/multi:v1", "oci:$tmp/multi-back:v1"), '... and comes back');
    is_deeply([ layout_digests("$tmp/multi-back") ], [ layout_digests("$tmp/multi") ], '... whole');
    works(skopeo(@push, @pull[ 1 .. 3 ], "docker://$address/team/skopeo:v1", "docker://$address/else/where:v1"), 'from repository to repository');
    works(skopeo('delete', '--tls-verify=false', '--creds', 'ann:secret', "docker://$address/else/where:v1"), 'delete');
    is_status($_->head('/v2/else/where/manifests/v1'), 404, '... everywhere') for @each;
};

subtest 'podman' => sub {
    plan skip_all => 'podman is not installed' if !find_program('podman') && ($ENV{CI} // '') ne 'true';
    my $podman = Registry::Clients->podman;
    my $info   = $podman->run('info');
    plan skip_all => "podman does not run here: $info->{err}" if $info->{exit} && !is_root();
    my $image = "$address/team/podman:v1";
    my $id    = make_archive("$tmp/podman.tar", $image, @SIZES);
    works($podman->run('load', '-i', "$tmp/podman.tar"), 'an image');
    works($podman->run('login', '--tls-verify=false', '-u', 'ann', '-p', 'secret', $address), 'login');
    works($podman->run('push', '--tls-verify=false', '--digestfile', "$tmp/digest", $image), 'push');
    has_each('team/podman', 'v1', slurp("$tmp/digest"));
    works($podman->run('push', '--tls-verify=false', $image, "$address/team/podman2:v1"), 'push into another repository');
    $podman->run('rmi', '-a', '-f');
    works($podman->run('pull', '--tls-verify=false', $image), 'pull');
    is($podman->run('image', 'inspect', '--format', '{{.Id}}', $image)->{out}, ($id =~ s/.*://r) . "\n", 'the same image');
    $podman->stop;
};

subtest 'docker' => sub {
    plan skip_all => 'a docker engine needs root' if !is_root();
    plan skip_all => 'docker is not installed' if !(find_program('docker') && find_program('dockerd')) && ($ENV{CI} // '') ne 'true';
    my $docker = Registry::Clients->docker_engine;
    if (!$docker) { ($ENV{CI} // '') eq 'true' ? fail($@) : plan(skip_all => "the docker engine does not start: $@"); return }
    my $image = "$address/team/docker:v1";
    my $id    = make_archive("$tmp/docker.tar", $image, @SIZES);
    works($docker->run('load', '-i', "$tmp/docker.tar"), 'an image');
    works($docker->run('login', '-u', 'ann', '-p', 'secret', $address), 'login');
    my $push = $docker->run('push', $image);
    works($push, 'push');
    has_each('team/docker', 'v1', $push->{out} =~ /digest: (sha256:[0-9a-f]{64})/ ? $1 : 'none');
    works($docker->run('tag', $image, "$address/team/docker2:v1"), 'a name in another repository');
    my $mount = $docker->run('push', "$address/team/docker2:v1");
    works($mount, '... is pushed');
    like($mount->{out}, qr/Mounted from team\/docker/, '... by mounting its layers');
    works($docker->run('rmi', '-f', $image, "$address/team/docker2:v1"), 'both are removed here');
    works($docker->run('pull', $image), 'pull');
    is($docker->run('image', 'inspect', '--format', '{{.Id}}', $image)->{out}, "$id\n", 'the same image');
    $docker->stop;
};

subtest 'an old docker' => sub {
    my $v1    = Registry::V1->new($nodes->with(user => undef), user => 'ann:secret');
    my @chain = random_chain(4, size => 50_000);
    is_status($_->[1], $_->[2], $_->[0]) for $v1->push_images('old/app', 'v1', @chain);
    my $pulled = $v1->pull_images('old/app', 'v1');
    is_status($_->[1], $_->[2], $_->[0]) for @{ $pulled->{steps} };
    is_deeply([ map { [ @$_{qw(id json)}, digest($_->{layer}) ] } @{ $pulled->{images} } ], [ map { [ @$_{qw(id json)}, digest($_->{layer}) ] } @chain ], 'all images come back');
    my $top = $chain[-1]{id};
    for my $i (0, 1) {
        my $tree = sub { return $each[$i]->get("/v1/images/$top/tree") };
        ok(wait_for(30, sub { $tree->()->status == 200 }), "server $i shows what is in it");
        is_deeply([ sort map { $_->{path} } @{ $tree->()->json } ], [ sort map { "/file-$_->{id}" } @chain ], '... all files');
        ok(wait_for(30, sub { $each[$i]->get('/v2/old/app/manifests/v1')->status == 200 }), '... and has a manifest of it');
    }
    is($each[0]->get('/v2/old/app/manifests/v1')->content, $each[1]->get('/v2/old/app/manifests/v1')->content, 'the same one');
    is_status($v1->request('DELETE', '/v1/repositories/old/app/tags/v1'), 200, 'the tag is deleted');
    is_status($_->get('/v1/repositories/old/app/tags/v1'), 404, '... everywhere') for @each;
};

subtest 'a client that changes its mind' => sub {
    my $bytes = random_bytes(300_000);
    my $place = $nodes->start_upload('team/mind');
    for my $at (0 .. 2) {
        my %how = (body => substr($bytes, $at * 100_000, 100_000), headers => { 'Content-Range' => sprintf '%d-%d', $at * 100_000, ($at + 1) * 100_000 - 1 });
        is_status($nodes->patch($place, %how), 202, 'a chunk', Range => '0-' . (($at + 1) * 100_000 - 1));
    }
    is_status($_->get($place), 204, 'each server knows how far it is', Range => '0-299999') for @each;
    is_status($nodes->delete($place), 204, 'it is given up');
    is_status($_->get($place), 404, '... everywhere') for @each;
    is_status($nodes->push_blob('team/mind', $bytes), 201, 'the blob, after all');
    for my $i (0, 1) {
        is_status($each[$i]->post("/v2/team/mind$i/blobs/uploads/?mount=" . digest($bytes) . '&from=team/mind'), 201, "is mounted by server $i");
        is_blob($each[ 1 - $i ], "team/mind$i", $bytes, '... and served by the other one');
        is_status($each[ 1 - $i ]->delete("/v2/team/mind$i/blobs/" . digest($bytes)), 202, '... which deletes it');
        is_status($_->head("/v2/team/mind$i/blobs/" . digest($bytes)), 404, '... everywhere') for @each;
    }
};

subtest 'looking into an image' => sub {
    my ($digest) = make_layout("$tmp/inside", 'v1', 70_000, 5000);
    for my $blob (layout_digests("$tmp/inside")) {
        next if $blob eq $digest;
        is_status($nodes->push_blob('team/inside', slurp("$tmp/inside/blobs/sha256/" . $blob =~ s/.*://r)), 201, 'a blob');
    }
    is_status($nodes->put_manifest('team/inside', 'v1', slurp("$tmp/inside/blobs/sha256/" . $digest =~ s/.*://r)), 201, 'an image');
    my $at = '/v2/team/inside/_image/v1';
    for my $i (0, 1) {
        ok(wait_for(30, sub { $each[$i]->get("$at/tree")->status == 200 }), "server $i shows its files");
    }
    my @files = @{ $nodes->get("$at/tree")->json };
    is(scalar @files, 2, 'a file of each layer');
    is($_->get("$at/tree")->content, $nodes->get("$at/tree")->content, 'the same ones') for @each;
    for my $file (@files) {
        my @got = map { $_->get("$at/blobs$file->{path}") } @each, $nodes, $nodes;
        is_deeply([ map { $_->status } @got ], [ (200) x 4 ], "$file->{path} can be read from each");
        is_deeply([ map { digest($_->content) } @got ], [ (digest($got[0]->content)) x 4 ], '... the same bytes');
        is(length $got[0]->content, $file->{size}, '... all of them');
    }
};

is_tidy($nodes);
is($nodes->command($_, 'fsck', '--rate', '0')->{exit}, 0, "fsck beside server $_ finds nothing") for 0, 1;
finish();
