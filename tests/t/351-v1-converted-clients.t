# Images that an old client has pushed, by the first API: today's clients pull them, and what is in them runs.
use v5.36;
use Registry limit => 400;
use Registry::Checks;
use Registry::Clients;
use Registry::Tools;
use Registry::V1;
use JSON::PP ();
use Test::More;

BEGIN { need('skopeo', 'podman', 'cc', 'tar') }

my $registry = Registry->start;
my $address  = '127.0.0.1:' . $registry->port;
my $v1       = Registry::V1->new($registry);
my $tmp      = tempdir();
my $IMAGE    = "$address/old/app:v1";

# ---- an image that does something: a program without libraries, in three layers ----

spew("$tmp/say.c", <<'END');
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char text[100] = "", dir[100];
    FILE *f = fopen("/etc/word", "r");
    if (f == NULL || fgets(text, sizeof text, f) == NULL || getcwd(dir, sizeof dir) == NULL) return 7;
    printf("%s says %s in %s as %d, gone: %s\n", argc > 1 ? argv[1] : "nobody", strtok(text, "\n"), dir, (int)getuid(),
        access("/etc/gone", F_OK) == 0 ? "no" : "yes");
    return getenv("SAYS") == NULL;
}
END
my $built = run([ 'cc', '-static', '-o', "$tmp/say", "$tmp/say.c" ]);
skip_or_fail("no static programs can be made here: $built->{err}") if $built->{exit};

sub layer ($name, $compress, %files) {
    my $root = "$tmp/$name";
    for my $path (sort keys %files) {
        my ($dir) = "$root/$path" =~ m{^(.*)/};
        run([ 'mkdir', '-p', $dir ]);
        spew("$root/$path", $files{$path});
        chmod 0755, "$root/$path";
    }
    run([ 'mkdir', '-p', $root ]);
    my $made = run([ 'tar', '-C', $root, $compress, '--owner=0', '--group=0', '-cf', "$tmp/$name.tar", '.' ]);
    die $made->{err} if $made->{exit};
    return slurp("$tmp/$name.tar");
}

my @parents;

sub v1_image ($layer, %members) {
    state $n = 0;
    my $id   = sprintf '%064x', 0xabc0 + ++$n;
    my $json = JSON::PP->new->canonical->encode({ id => $id, @parents ? (parent => $parents[-1]) : (), %members });
    push @parents, $id;
    return { id => $id, json => $json, layer => $layer, payload => payload_of($json, $layer) };
}

my @images = (
    v1_image(layer('base', '--gzip', 'bin/say' => slurp("$tmp/say"), 'etc/word' => "one\n", 'etc/gone' => 'x', 'tmp/x' => ''),
        created => '2014-05-13T16:53:20Z', container_config => { Cmd => [ '/bin/sh', '-c', '#(nop) ADD it' ] }),
    v1_image(layer('change', '--no-auto-compress', 'etc/word' => "two\n", 'etc/.wh.gone' => ''),
        created => '2014-05-13T16:53:21Z', author => 'ann', comment => 'a change'),
    v1_image(layer('nothing', '--gzip'), created => '2014-05-13T16:53:22.5Z', docker_version => '1.6.0', os => 'linux',
        architecture => 'amd64', config => { Cmd => [ '/bin/say', 'ann' ], Env => ['SAYS=1'], WorkingDir => '/tmp', Labels => { a => 'b' } }),
);
my $SAYS = "ann says two in /tmp as 0, gone: yes\n";

for my $step ($v1->push_images('old/app', 'v1', @images)) {
    is($step->[1]->status, $step->[2], $step->[0]) or BAIL_OUT('the push fails') if $step->[1]->status != $step->[2];
}
ok(wait_for(60, sub { $registry->head('/v2/old/app/manifests/v1')->status == 200 }), 'the tag has a manifest') or BAIL_OUT('no manifest');
my $digest = $registry->head('/v2/old/app/manifests/v1')->header('Docker-Content-Digest');

subtest 'skopeo' => sub {
    my $inspect = skopeo('inspect', '--tls-verify=false', "docker://$IMAGE");
    works($inspect, 'inspect');
    my $told = JSON::PP->new->utf8->decode($inspect->{out});
    is($told->{Digest},        $digest, 'the digest');
    is($told->{Architecture},  'amd64', 'the architecture');
    is($told->{DockerVersion}, '1.6.0', 'the version of docker');
    like($told->{Created}, qr/^2014-05-13T16:53:22\.5Z/, 'the date');
    is_deeply($told->{Labels}, { a => 'b' }, 'the labels');
    my $config = skopeo('inspect', '--config', '--tls-verify=false', "docker://$IMAGE");
    works($config, 'inspect --config');
    my $history = JSON::PP->new->utf8->decode($config->{out})->{history};
    is_deeply([ map { $_->{created_by} // '' } @$history ], [ '/bin/sh -c #(nop) ADD it', '', '' ], 'its history');
    is($history->[1]{author}, 'ann', '... with an author');
    works(skopeo('copy', '--src-tls-verify=false', "docker://$IMAGE", "oci:$tmp/layout:v1"), 'copy into an OCI layout');
    works(skopeo('copy', '--src-tls-verify=false', "docker://$address/old/app\@$digest", "dir:$tmp/dir"), 'copy by digest');
    my $copy = skopeo('copy', '--dest-tls-verify=false', "dir:$tmp/dir", "docker://$address/new/app:v1");
    works($copy, 'and back, as an image of the second API');
    is_status($registry->head('/v2/new/app/manifests/v1'), 200, '... the same one', 'Docker-Content-Digest' => $digest);
};

subtest 'umoci and chroot' => sub {
    plan skip_all => 'umoci is not installed' if !find_program('umoci') && ($ENV{CI} // '') ne 'true';
    plan skip_all => 'chroot needs root' if !is_root();
    works(run([ 'umoci', 'unpack', '--image', "$tmp/layout:v1", "$tmp/bundle" ]), 'umoci unpacks it');
    my $ran = run([ 'chroot', "$tmp/bundle/rootfs", '/bin/say', 'bob' ], env => { SAYS => 1 });
    is($ran->{out}, "bob says two in / as 0, gone: yes\n", 'and it runs');
};

subtest 'podman' => sub {
    my $podman = Registry::Clients->podman;
    my $info   = $podman->run('info');
    plan skip_all => "podman does not run here: $info->{err}" if $info->{exit};
    works($podman->run('pull', '--tls-verify=false', $IMAGE), 'pull');
    my $inspect = $podman->run('image', 'inspect', '--format', '{{.Digest}} {{.Config.WorkingDir}} {{.Config.Env}} {{.Config.Cmd}} {{len .RootFS.Layers}}', $IMAGE);
    is($inspect->{out}, "$digest /tmp [SAYS=1] [/bin/say ann] 3\n", 'its digest and config');
    my $history = $podman->run('history', '--no-trunc', '--format', '{{.CreatedBy}}|{{.Comment}}', $IMAGE);
    is($history->{out}, "|\n|a change\n/bin/sh -c #(nop) ADD it|\n", 'its history');
    my @run = ('run', '--rm', '--network', 'none', '--ulimit', 'nofile=512:512', '--ulimit', 'nproc=512:512');
    my $ran = $podman->run(@run, $IMAGE);
    $ran = $podman->run(@run, '--runtime', 'runc', $IMAGE) if $ran->{exit} && find_program('runc');
    # Within a container of somebody's there may be no way to begin one.
    $ran->{exit} && $ran->{out} eq '' ? note("podman runs nothing here: $ran->{err}") : is($ran->{out}, $SAYS, 'it runs');
    $podman->run('rmi', '-a', '-f');
};

subtest 'compressions of old' => sub {
    my $podman = Registry::Clients->podman;
    plan skip_all => "podman does not run here" if $podman->run('info')->{exit};
    for my $kind (qw(xz bzip2 zstd)) {
        @parents = ();
        my @chain = (v1_image(layer("base-$kind", "--$kind", 'etc/word' => "$kind\n"), config => {}));
        $_->[1]->status == $_->[2] or fail($_->[0]) for $v1->push_images("old/$kind", 'v1', @chain);
        ok(wait_for(60, sub { $registry->head("/v2/old/$kind/manifests/v1")->status == 200 }), "$kind is converted");
        works($podman->run('pull', '--tls-verify=false', "$address/old/$kind:v1"), "... podman pulls it");
        works(skopeo('copy', '--src-tls-verify=false', "docker://$address/old/$kind:v1", "oci:$tmp/layout:$kind"), '... skopeo copies it');
    }
};

subtest 'docker' => sub {
    plan skip_all => 'docker is not installed' if !(find_program('docker') && find_program('dockerd')) && ($ENV{CI} // '') ne 'true';
    plan skip_all => 'a docker engine needs root' if !is_root();
    my $docker = Registry::Clients->docker_engine or plan skip_all => "the docker engine does not start: $@";
    my $pull   = $docker->run('pull', $IMAGE);
    works($pull, 'pull');
    like($pull->{out}, qr/Digest: \Q$digest\E/, 'the digest');
    my $inspect = $docker->run('image', 'inspect', '--format', '{{.Architecture}} {{.Os}} {{.Config.WorkingDir}} {{.Config.Env}} {{.Config.Cmd}} {{len .RootFS.Layers}}', $IMAGE);
    is($inspect->{out}, "amd64 linux /tmp [SAYS=1] [/bin/say ann] 3\n", 'its config');
    my $history = $docker->run('history', '--no-trunc', '--format', '{{.CreatedBy}}|{{.Comment}}', $IMAGE);
    is($history->{out}, "|\n|a change\n/bin/sh -c #(nop) ADD it|\n", 'its history');
    works($docker->run('pull', "$address/old/$_:v1"), "pull of layers in $_") for qw(xz bzip2);
    my $ran = $docker->run('run', '--rm', '--network', 'none', $IMAGE);
    $ran->{exit} && $ran->{out} eq '' ? note("docker runs nothing here: $ran->{err}") : is($ran->{out}, $SAYS, 'it runs');
    works($docker->run('tag', $IMAGE, "$address/again/app:v1"), 'another name');
    works($docker->run('push', "$address/again/app:v1"), '... is pushed by the second API');
    $docker->stop;
};

is_status($v1->get('/v1/repositories/old/app/tags/v1'), 200, 'the old client still sees its tag');
is($v1->get('/v1/repositories/old/app/tags/v1')->content, qq("$images[2]{id}"), '... with the id that it gave the image');
is_tidy($registry);
finish();
