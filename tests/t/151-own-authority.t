# An authority of one's own, by the commands of the manual: docker, podman and skopeo believe it then, and not before.
use v5.36;
use Registry limit => 300;
use Registry::Checks;
use Registry::Clients;
use Registry::Images;
use Registry::Manual;
use Registry::Tools;
use Test::More;

BEGIN { need('openssl') }

my $UNKNOWN = qr/x509: certificate signed by unknown authority/;
my $tmp     = tempdir();
my @lines   = split /\n/, join("\n", manual_examples('.8', 'AN AUTHORITY OF YOUR OWN')) =~ s/\\\n\s*//gr;

# The lines of the manual with such a beginning, for this host (with its port) and these places.
sub lines ($pattern, $host, %places) {
    my @found = grep { $_ =~ $pattern } @lines;
    for (@found) {
        s/registry\.example\.com(:5000)?/defined $1 ? $host : $host =~ s{:\d+$}{}r/ge;
        for my $place (keys %places) { s/\Q$place\E/$places{$place}/g }
    }
    return join "\n", @found;
}

sub shell ($script) { return run([ 'sh', '-e', '-c', $script ], cwd => $tmp) }

my $made = lines(qr/^(?:openssl|echo)/, 'registry.test:1');
is(scalar(() = $made =~ /^openssl/mg), 3, 'three commands of openssl');
works(shell($made), 'they make an authority and a certificate');
like(run([ 'openssl', 'verify', '-CAfile', "$tmp/ca.crt", '-verify_hostname', 'registry.test', "$tmp/site.crt" ])->{out}, qr/: OK/, '... for the name');

my $registry = Registry->start(args => [ '--tls-cert', "$tmp/site.crt", '--tls-key', "$tmp/site.key" ]);
my $at       = 'registry.test:' . $registry->port;
unlike($registry->log, qr/certificate/, 'the log has no complaint about it');
make_layout("$tmp/image", 'v1', 10_000);

# podman and skopeo find the name in a file of hosts that is theirs.
my $HOSTS = 'mount --make-rprivate / && mount --bind "$1" /etc/hosts && shift && exec "$@"';
spew("$tmp/hosts", slurp('/etc/hosts') . "127.0.0.1 registry.test\n");

SKIP: {
    skip('mounting takes root', 1) if !is_root() || run([ 'unshare', '-m', 'true' ])->{exit};
    subtest 'skopeo and podman' => sub {
        plan skip_all => 'skopeo and podman are not installed' if !find_program('skopeo') || !find_program('podman');
        my $home = "$tmp/home";
        mkdir $_ for $home, "$home/.config", "$home/.config/containers", "$home/run";
        spew("$home/.config/containers/policy.json", '{"default":[{"type":"insecureAcceptAnything"}]}');
        my $do = sub (@command) {
            return run([ 'unshare', '-m', 'sh', '-c', $HOSTS, 'sh', "$tmp/hosts", @command ], cwd => $tmp, timeout => 60,
                env => { HOME => $home, XDG_RUNTIME_DIR => "$home/run", XDG_CONFIG_HOME => "$home/.config" });
        };
        my @copy   = ('skopeo', 'copy', "oci:$tmp/image:v1", "docker://$at/app:v1");
        my @podman = ('podman', '--root', "$home/root", '--runroot', "$home/runroot", '--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs');
        my ($pull) = lines(qr/^podman pull/, $at) =~ /^podman (.*)/;
        my @pull   = (@podman, split ' ', $pull . ':v1');

        is_refused($do->(@copy), $UNKNOWN, 'a copy to a registry of an unknown authority');
        works(shell(lines(qr/^mkdir certs/, $at)), 'a directory for --cert-dir');
        works($do->(@copy, '--dest-cert-dir', 'certs'), '... lets skopeo copy to it');
        is_refused($do->(grep({ !/^(?:--cert-dir|certs)$/ } @pull)), $UNKNOWN, 'a pull by podman without it');
        works($do->(@pull), '... and with it');
        works(shell(lines(qr{^(?:mkdir -p|cp ca.crt) .*~/}, $at, '~' => $home)), 'the directory for all commands');
        works($do->(@copy), '... lets skopeo copy without an option');
        works($do->(@podman, 'rmi', '-a', '-f'), 'the image is removed');
        works($do->(grep { !/^(?:--cert-dir|certs)$/ } @pull), '... and podman pulls it');
    };
}

SKIP: {
    skip('a docker engine needs root', 1) if !is_root();
    subtest 'docker' => sub {
        plan skip_all => 'docker is not installed' if !find_program('dockerd') || !find_program('docker');
        my $docker = Registry::Clients->docker_engine(name => 'registry.test');
        return ($ENV{CI} // '') eq 'true' ? fail("the docker engine does not start: $@") : plan(skip_all => 'the docker engine does not start')
            if !$docker;
        make_archive("$tmp/docker.tar", "$at/docker:v1", 10_000);
        works($docker->run('load', '-i', "$tmp/docker.tar"), 'an image');
        is_refused($docker->run('push', "$at/docker:v1"), $UNKNOWN, 'a push to a registry of an unknown authority');
        works(shell(lines(qr{/etc/docker}, $at, '/etc/docker' => $docker->home)), 'certs.d');
        works($docker->run('push', "$at/docker:v1"), '... lets docker push, without a restart');
        works($docker->run('rmi', '-f', "$at/docker:v1"), 'it is removed');
        works($docker->run('pull', "$at/docker:v1"), '... and pulled');
        $docker->stop;
    };
}
finish();
