# podman and buildah push and pull images of several layers, and show why they may not.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Clients;
use Registry::Images;
use Registry::Tools;
use Test::More;

BEGIN { need('podman') }

my $podman = Registry::Clients->podman;
my $info   = $podman->run('info');
if ($info->{exit}) {
    is_root() ? skip_or_fail("podman does not run here: $info->{err}") : plan(skip_all => "podman does not run here: $info->{err}");
}

my $registry = Registry->start;
my $address  = '127.0.0.1:' . $registry->port;
my $tmp      = tempdir();
my $image    = "$address/team/app:v1";
my $REFUSED  = qr/unauthorized|invalid username|authentication/i;

my $id = make_archive("$tmp/image.tar", $image, 110 << 20, 70 << 20, 25 << 20, 1000);
works($podman->run('load', '-i', "$tmp/image.tar"), 'an image of 200 MB in four layers');

subtest 'push and pull' => sub {
    works($podman->run('push', '--tls-verify=false', '--digestfile', "$tmp/digest", $image), 'push');
    my $digest = $registry->head('/v2/team/app/manifests/v1')->header('Docker-Content-Digest');
    is($digest, slurp("$tmp/digest"), 'the digest is the one that podman pushed');
    works($podman->run('rmi', '-f', $image), 'it is removed here');
    isnt($podman->run('image', 'exists', $image)->{exit}, 0, '... and gone');
    works($podman->run('pull', '--tls-verify=false', $image), 'pull');
    my $inspect = $podman->run('image', 'inspect', '--format', '{{.Id}} {{.Digest}}', $image);
    is($inspect->{out}, ($id =~ s/.*://r) . " $digest\n", 'the same image, the same digest');
    works($podman->run('pull', '--tls-verify=false', "$address/team/app\@$digest"), 'pull by digest');
    my $schema2 = $podman->run('push', '--tls-verify=false', '--format', 'v2s2', $image, "$address/team/app:schema2");
    works($schema2, 'push as docker schema 2');
    is_tidy($registry);
    isnt($podman->run('pull', '--tls-verify=false', "$address/team/app:none")->{exit}, 0, 'what is not there is not pulled');
    $podman->run('rmi', '-a', '-f');
};

subtest 'buildah' => sub {
    plan skip_all => 'buildah is not installed' if !find_program('buildah') && ($ENV{CI} // '') ne 'true';
    my $buildah = $podman->like('buildah');
    spew($buildah->home . "/file$_", random_bytes(200_000)) for 1, 2;
    my $built = $buildah->run('from', 'scratch');
    works($built, 'from scratch');
    chomp(my $container = $built->{out});
    works($buildah->run('copy', $container, "file$_", "/file$_"), "copy $_") for 1, 2;
    works($buildah->run('commit', $container, "$address/team/built:v1"), 'commit');
    works($buildah->run('push', '--tls-verify=false', "$address/team/built:v1"), 'push');
    works($buildah->run('rmi', '-a', '-f'), 'it is removed here');
    works($buildah->run('pull', '--tls-verify=false', "$address/team/built:v1"), 'pull');
};
$registry->stop;

subtest 'passwords' => sub {
    my $closed = Registry->start(args => [ '--user', 'ann:secret' ]);
    my $at     = '127.0.0.1:' . $closed->port;
    my $small  = "$at/team/small:v1";
    make_archive("$tmp/small.tar", $small, 100_000, 50_000);
    works($podman->run('load', '-i', "$tmp/small.tar"), 'a small image');
    my @push = ('push', '--tls-verify=false');
    for my $way ([ 'no password' => () ], [ 'a wrong password' => '--creds', 'ann:wrong' ]) {
        my ($name, @options) = @$way;
        my $ran = $podman->run(@push, @options, $small);
        is_refused($ran, $REFUSED, "push with $name is refused");
    }
    works($podman->run(@push, '--creds', 'ann:secret', $small), 'push with the right one');
    my $login = $podman->run('login', '--tls-verify=false', '-u', 'ann', '-p', 'wrong', $at);
    is_refused($login, $REFUSED, 'login with a wrong one is refused');
    works($podman->run('login', '--tls-verify=false', '-u', 'ann', '-p', 'secret', $at), 'login with the right one');
    works($podman->run(@push, $small, "$at/team/small:v2"), '... push');
    works($podman->run('pull', '--tls-verify=false', "$at/team/small:v2"), '... pull');
};
$podman->stop;

finish();
