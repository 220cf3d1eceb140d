# skopeo pushes and pulls images of several layers, the same digests come back, and a wrong password is told.
use v5.36;
use Registry limit => 180;
use Registry::Checks;
use Registry::Clients;
use Registry::Images;
use Registry::Tools;
use Test::More;

BEGIN { need('skopeo') }

my $registry = Registry->start;
my $address  = '127.0.0.1:' . $registry->port;
my $tmp      = tempdir();
my $REFUSED  = qr/unauthorized|invalid username|authentication/i;

# From an OCI layout in the temporary directory to the registry, and back.
sub push_layout ($from, $to, @options) {
    return skopeo('copy', '--dest-tls-verify=false', @options, "oci:$tmp/$from", "docker://$to");
}

sub pull_layout ($from, $to, @options) {
    return skopeo('copy', '--src-tls-verify=false', @options, "docker://$from", "oci:$tmp/$to");
}

subtest '200 MB in several layers' => sub {
    my $digest = make_layout("$tmp/large", 'v1', 90 << 20, 70 << 20, 40 << 20, 1000);
    works(push_layout('large:v1', "$address/team/large:v1"), 'push');
    is($registry->head('/v2/team/large/manifests/v1')->header('Docker-Content-Digest'), $digest, 'the digest');
    works(pull_layout("$address/team/large:v1", 'back:v1'), 'pull');
    is_deeply([ layout_digests("$tmp/back") ], [ layout_digests("$tmp/large") ], 'the same blobs come back');
    my @other = grep { file_digest("$tmp/back/blobs/sha256/" . s/.*://r) ne $_ } layout_digests("$tmp/back");
    is_deeply(\@other, [], '... byte for byte');
    my $again = push_layout('large:v1', "$address/team/large:v2");
    works($again, 'a second push');
    my @blobs = grep { $_ ne $digest } layout_digests("$tmp/large");
    is_deeply([ map { scalar $registry->blob_files($_) } @blobs ], [ (1) x 5 ], '... stores nothing twice');
    is_tidy($registry);
};

subtest 'looking' => sub {
    make_layout("$tmp/small", 'v1', 100_000, 50_000);
    works(push_layout('small:v1', "$address/team/small:v$_"), "push of v$_") for 1 .. 3;
    my $tags = skopeo('list-tags', '--tls-verify=false', "docker://$address/team/small");
    works($tags, 'list-tags');
    like($tags->{out}, qr/"v1",\s+"v2",\s+"v3"/, '... all of them');
    my $inspect = skopeo('inspect', '--tls-verify=false', "docker://$address/team/small:v1");
    works($inspect, 'inspect');
    like($inspect->{out}, qr/"Architecture": "amd64"/, '... reads the configuration');
    isnt(skopeo('inspect', '--tls-verify=false', "docker://$address/team/none:v1")->{exit}, 0, 'of what is not there');
};

subtest 'other forms' => sub {
    works(push_layout('small:v1', "$address/team/schema2:v1", '--format', 'v2s2'), 'docker schema 2');
    is_status($registry->head('/v2/team/schema2/manifests/v1'), 200, '... is what is stored',
        'Content-Type' => $Registry::Client::TYPE{docker_manifest});
    works(skopeo('copy', '--src-tls-verify=false', "docker://$address/team/schema2:v1", "dir:$tmp/schema2"), '... and comes back');
    my $digest = make_layout_index("$tmp/multi", 'v1', 60_000, 40_000);
    works(push_layout('multi:v1', "$address/team/multi:v1", '--all'), 'an index of two platforms');
    is($registry->head('/v2/team/multi/manifests/v1')->header('Docker-Content-Digest'), $digest, '... has its digest');
    works(pull_layout("$address/team/multi:v1", 'multi-back:v1', '--all'), '... and comes back');
    is_deeply([ layout_digests("$tmp/multi-back") ], [ layout_digests("$tmp/multi") ], '... whole');
    my $across = skopeo('copy', '--src-tls-verify=false', '--dest-tls-verify=false',
        "docker://$address/team/small:v1", "docker://$address/else/where:v1");
    works($across, 'from repository to repository');
    works(pull_layout("$address/else/where:v1", 'where:v1'), '... and back');
    is_tidy($registry);
};
$registry->stop;

subtest 'passwords' => sub {
    my $closed = Registry->start(args => [ '--user', 'ann:secret' ]);
    my $at     = '127.0.0.1:' . $closed->port;
    for my $way ([ 'no password' => () ], [ 'a wrong password' => '--dest-creds', 'ann:wrong' ]) {
        my ($name, @options) = @$way;
        my $ran = push_layout('small:v1', "$at/team/small:v1", @options);
        is_refused($ran, $REFUSED, "push with $name is refused");
    }
    works(push_layout('small:v1', "$at/team/small:v1", '--dest-creds', 'ann:secret'), 'push with the right one');
    my $pull = pull_layout("$at/team/small:v1", 'wrong:v1', '--src-creds', 'ann:wrong');
    is_refused($pull, $REFUSED, 'pull with a wrong one is refused');
    works(pull_layout("$at/team/small:v1", 'closed:v1', '--src-creds', 'ann:secret'), 'pull with the right one');
    my $login = skopeo('login', '--tls-verify=false', '-u', 'ann', '-p', 'wrong', $at);
    is_refused($login, $REFUSED, 'login with a wrong one is refused');
    works(skopeo('login', '--tls-verify=false', '-u', 'ann', '-p', 'secret', $at), 'login with the right one');
    works(skopeo('inspect', '--tls-verify=false', "docker://$at/team/small:v1"), '... is enough from then on');
    is_tidy($closed);
};

subtest 'over TLS' => sub {
    plan skip_all => 'needs openssl' if !find_program('openssl');
    my ($cert, $key) = make_certificate($tmp, 'registry');
    mkdir "$tmp/certs";
    spew("$tmp/certs/ca.crt", slurp($cert));
    my $secure = Registry->start(args => [ '--tls-cert', $cert, '--tls-key', $key, '--user', 'ann:secret' ]);
    my $at     = '127.0.0.1:' . $secure->port;
    my $there = "docker://$at/team/small:v1";
    my @push  = ('--dest-cert-dir', "$tmp/certs", '--dest-creds', 'ann:secret');
    my @pull  = ('--src-cert-dir', "$tmp/certs", '--src-creds', 'ann:secret');
    works(skopeo('copy', @push, "oci:$tmp/small:v1", $there), 'push');
    works(skopeo('copy', @pull, $there, "oci:$tmp/secure:v1"), 'pull');
    is_deeply([ layout_digests("$tmp/secure") ], [ layout_digests("$tmp/small") ], 'the same image');
};

finish();
