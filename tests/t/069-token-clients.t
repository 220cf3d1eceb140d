# Real clients live with tokens: short ones, those that end, and those of another key.
use v5.36;
use Registry limit => 300;
use Registry::Checks;
use Registry::Clients;
use Registry::Images;
use Registry::Tools;
use Test::More;

BEGIN { need('skopeo', 'docker', 'dockerd') }

my $tmp      = tempdir();
my $registry = Registry->start;
my $at       = '127.0.0.1:' . $registry->port;
my $REFUSED  = qr/unauthorized|password|authentication|no basic auth/i;
make_layout("$tmp/layout", 'v1', 40_000, 20_000);

sub user ($verb, $password) {
    my $ran = Registry->try([ 'user', $verb, 'ann', '--dir', $registry->dir ], stdin => "$password\n");
    die $ran->{err} if $ran->{exit};
    return;
}

sub rotate (@args) { return Registry->try([ 'rotate-key', '--dir', $registry->dir, @args ]) }

user('add', 'secret');

subtest 'skopeo' => sub {
    my @copy = ('copy', '--dest-tls-verify=false', "oci:$tmp/layout:v1");
    is_refused(skopeo(@copy, "docker://$at/team/skopeo:v1"), $REFUSED, 'a push without a password');
    is_refused(skopeo(@copy, '--dest-creds', 'ann:wrong', "docker://$at/team/skopeo:v1"), $REFUSED, '... with a wrong one');
    works(skopeo('login', '--tls-verify=false', '-u', 'ann', '-p', 'secret', $at), 'login');
    works(skopeo(@copy, "docker://$at/team/skopeo:v1"), 'push');
    works(skopeo('copy', '--src-tls-verify=false', '--dest-tls-verify=false', "docker://$at/team/skopeo:v1", "docker://$at/team/copy:v1"),
        'from one repository to another');
    works(skopeo('list-tags', '--tls-verify=false', "docker://$at/team/skopeo"), 'the tags');
    works(skopeo('delete', '--tls-verify=false', "docker://$at/team/copy:v1"), 'delete');
    works(skopeo('inspect', '--tls-verify=false', "docker://$at/team/skopeo:v1"), 'pull');
    is(rotate('--now')->{exit}, 0, 'all tokens end');
    works(skopeo('inspect', '--tls-verify=false', "docker://$at/team/skopeo:v1"), '... and it gets another one by its password');
    works(skopeo('logout', $at), 'logout');
    is_refused(skopeo('inspect', '--tls-verify=false', "docker://$at/team/skopeo:v1"), $REFUSED, '... then pull is refused');
};

subtest 'docker' => sub {
    plan(skip_all => 'a docker engine needs root') if !is_root();
    my $docker = Registry::Clients->docker_engine or skip_or_fail("the docker engine does not start: $@");
    my $image  = "$at/team/docker:v1";
    make_archive("$tmp/image.tar", $image, 100_000, 50_000);
    works($docker->run('load', '-i', "$tmp/image.tar"), 'an image');
    my $login = sub ($password) { return $docker->run('login', '-u', 'ann', '-p', $password, $at) };
    my $pull  = sub { $docker->run('rmi', '-f', "$at/team/skopeo:v1"); return $docker->run('pull', "$at/team/skopeo:v1") };

    is_refused($login->('wrong'), qr/wrong user name or password/, 'login with a wrong password');
    works($login->('secret'), 'login with the right one');
    my $config = slurp($docker->home . '/config/config.json');
    like($config, qr/"identitytoken": "[\w-]{40,}"/, '... leaves a refresh token');
    unlike($config, qr/YW5uOnNlY3JldA/, '... and no password');
    works($docker->run('push', $image), 'push');
    works($pull->(), 'pull');

    is(rotate()->{exit}, 0, 'the key is replaced');
    works($pull->(), '... and pull goes on');
    works($docker->run('push', $image), '... as does push');

    is(rotate('--now')->{exit}, 0, 'all tokens end');
    is_refused($pull->(), qr/unauthorized.*log in again/s, '... and docker says what to do');
    works($login->('secret'), 'a new login');
    works($pull->(), '... pulls again');

    user('passwd', 'other');
    is_refused($pull->(), qr/unauthorized.*log in again/s, 'another password ends them, too');
    works($login->('other'), 'a login with it');
    works($docker->run('push', $image), '... pushes again');
    Registry->try([ 'user', 'del', 'ann', '--dir', $registry->dir ]);
    is_refused($pull->(), qr/unauthorized/, 'who is removed may do nothing');
    $docker->stop;
};

unlike($registry->log . $registry->output, qr/AQ[EI]AAAAA/, 'no token is in the log');
finish();
