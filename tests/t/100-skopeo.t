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

sub works ($ran, $name) { return ok($ran->{exit} == 0, $name) || diag($ran->{err} . $ran->{out}) }

subtest '200 MB in several layers' => sub {
    my $digest = make_layout("$tmp/large", 'v1', 90 << 20, 70 << 20, 40 << 20, 1000);
    works(skopeo('copy', '--dest-tls-verify=false', "oci:$tmp/large:v1", "docker://$address/team/large:v1"), 'push');
    is($registry->head('/v2/team/large/manifests/v1')->header('Docker-Content-Digest'), $digest, 'the digest');
    works(skopeo('copy', '--src-tls-verify=false', "docker://$address/team/large:v1", "oci:$tmp/back:v1"), 'pull');
    is_deeply([ layout_digests("$tmp/back") ], [ layout_digests("$tmp/large") ], 'the same blobs come back');
    my @other = grep { file_digest("$tmp/back/blobs/sha256/" . s/.*://r) ne $_ } layout_digests("$tmp/back");
    is_deeply(\@other, [], '... byte for byte');
    my $again = skopeo('copy', '--dest-tls-verify=false', "oci:$tmp/large:v1", "docker://$address/team/large:v2");
    works($again, 'a second push');
    cmp_ok($registry->blob_files((layout_digests("$tmp/large"))[0]), '==', 1, '... stores nothing twice');
    ok($registry->no_uploads_left, 'nothing is left in uploads/') or diag(join "\n", $registry->files('uploads'));
};

subtest 'looking' => sub {
    make_layout("$tmp/small", 'v1', 100_000, 50_000);
    works(skopeo('copy', '--dest-tls-verify=false', "oci:$tmp/small:v1", "docker://$address/team/small:v$_"), "push of v$_") for 1 .. 3;
    my $tags = skopeo('list-tags', '--tls-verify=false', "docker://$address/team/small");
    works($tags, 'list-tags');
    like($tags->{out}, qr/"v1",\s+"v2",\s+"v3"/, '... all of them');
    my $inspect = skopeo('inspect', '--tls-verify=false', "docker://$address/team/small:v1");
    works($inspect, 'inspect');
    like($inspect->{out}, qr/"Architecture": "amd64"/, '... reads the configuration');
    isnt(skopeo('inspect', '--tls-verify=false', "docker://$address/team/none:v1")->{exit}, 0, 'of what is not there');
};

subtest 'other forms' => sub {
    works(skopeo('copy', '--dest-tls-verify=false', '--format', 'v2s2', "oci:$tmp/small:v1", "docker://$address/team/schema2:v1"), 'docker schema 2');
    is($registry->head('/v2/team/schema2/manifests/v1')->header('Content-Type'), $Registry::Client::TYPE{docker_manifest}, '... is what is stored');
    works(skopeo('copy', '--src-tls-verify=false', "docker://$address/team/schema2:v1", "dir:$tmp/schema2"), '... and comes back');
    my $digest = make_layout_index("$tmp/multi", 'v1', 60_000, 40_000);
    works(skopeo('copy', '--all', '--dest-tls-verify=false', "oci:$tmp/multi:v1", "docker://$address/team/multi:v1"), 'an index of two platforms');
    is($registry->head('/v2/team/multi/manifests/v1')->header('Docker-Content-Digest'), $digest, '... has its digest');
    works(skopeo('copy', '--all', '--src-tls-verify=false', "docker://$address/team/multi:v1", "oci:$tmp/multi-back:v1"), '... and comes back');
    is_deeply([ layout_digests("$tmp/multi-back") ], [ layout_digests("$tmp/multi") ], '... whole');
    works(skopeo('copy', '--src-tls-verify=false', '--dest-tls-verify=false', "docker://$address/team/small:v1", "docker://$address/else/where:v1"), 'from repository to repository');
    works(skopeo('copy', '--src-tls-verify=false', "docker://$address/else/where:v1", "oci:$tmp/where:v1"), '... and back');
    ok($registry->no_uploads_left, 'nothing is left in uploads/') or diag(join "\n", $registry->files('uploads'));
};
$registry->stop;

subtest 'passwords' => sub {
    my $closed = Registry->start(args => [ '--user', 'ann:secret' ]);
    my $at     = '127.0.0.1:' . $closed->port;
    my @push   = ('copy', '--dest-tls-verify=false', "oci:$tmp/small:v1", "docker://$at/team/small:v1");
    for my $way ([ 'no password' => () ], [ 'a wrong password' => '--dest-creds', 'ann:wrong' ]) {
        my ($name, @options) = @$way;
        my $ran = skopeo(@push, @options);
        isnt($ran->{exit}, 0, "push with $name is refused");
        like($ran->{err}, qr/unauthorized|invalid username|authentication/i, '... with a message');
    }
    works(skopeo(@push, '--dest-creds', 'ann:secret'), 'push with the right one');
    isnt(skopeo('inspect', '--tls-verify=false', '--creds', 'ann:wrong', "docker://$at/team/small:v1")->{exit}, 0, 'pull with a wrong one is refused');
    works(skopeo('copy', '--src-tls-verify=false', '--src-creds', 'ann:secret', "docker://$at/team/small:v1", "oci:$tmp/closed:v1"), 'pull with the right one');
    my $login = skopeo('login', '--tls-verify=false', '-u', 'ann', '-p', 'wrong', $at);
    isnt($login->{exit}, 0, 'login with a wrong one is refused');
    like($login->{err}, qr/invalid username|unauthorized/i, '... with a message');
    works(skopeo('login', '--tls-verify=false', '-u', 'ann', '-p', 'secret', $at), 'login with the right one');
    works(skopeo('inspect', '--tls-verify=false', "docker://$at/team/small:v1"), '... is enough from then on');
    ok($closed->no_uploads_left, 'nothing is left in uploads/') or diag(join "\n", $closed->files('uploads'));
};

subtest 'over TLS' => sub {
    plan skip_all => 'needs openssl' if !find_program('openssl');
    my ($cert, $key) = make_certificate($tmp, 'registry');
    mkdir "$tmp/certs";
    spew("$tmp/certs/ca.crt", slurp($cert));
    my $secure = Registry->start(args => [ '--tls-cert', $cert, '--tls-key', $key, '--user', 'ann:secret' ]);
    my $at     = '127.0.0.1:' . $secure->port;
    works(skopeo('copy', '--dest-cert-dir', "$tmp/certs", '--dest-creds', 'ann:secret', "oci:$tmp/small:v1", "docker://$at/team/small:v1"), 'push');
    works(skopeo('copy', '--src-cert-dir', "$tmp/certs", '--src-creds', 'ann:secret', "docker://$at/team/small:v1", "oci:$tmp/secure:v1"), 'pull');
    is_deeply([ layout_digests("$tmp/secure") ], [ layout_digests("$tmp/small") ], 'the same image');
};

finish();
