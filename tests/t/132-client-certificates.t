# Client certificates by an existing nginx: the manual's section CLIENT CERTIFICATES, line by line after its RECIPE, with
# a real authority. A certificate names its user, nobody gets another one's name, and revoked ones are refused.
use v5.36;
use Registry limit => 300;
use Registry::Checks;
use Registry::Clients;
use Registry::Images;
use Registry::Manual;
use Registry::Recipe;
use Registry::Tools;
use Test::More;

BEGIN { need('curl', 'openssl', 'nginx') }

my $tmp  = tempdir();
my $root = "$tmp/debian";
my $ca   = "$root/etc/registry-ca";
my $name = 'registry.test';
my ($plain, $port) = (free_port(), free_port());
my $base = "https://$name:$port";

make_debian($root);
mkdir "$root/etc/ssl";
my ($trusted, $server_key) = make_certificate("$root/etc/ssl", 'registry');

# The values of both sections, for lines that are run later.
my %values = (debian_values($root), name => $name, listen => "127.0.0.1:$port");
my @again  = (
    'set +u', (map { "$_=$values{$_}" } sort keys %values), 'http=$etc/nginx/conf.d/registry.conf server=$etc/nginx/snippets/registry.conf',
    'conf=$etc/docker-registry-server.conf ca=$etc/registry-ca cert=$etc/ssl/registry.crt key=$etc/ssl/registry.key',
);
my %env = (CURL_CA_BUNDLE => $trusted);

sub part ($subsection) { return manual_examples('nginx.7', 'CLIENT CERTIFICATES', $subsection) }

sub is_run ($what, @lines) {
    works(my $ran = run_recipe($root, @again, @lines, { env => \%env }), $what);
    return $ran;
}

# Workers of before may still accept for a moment: the change counts when this is true.
sub is_reloaded ($pattern, $name, @args) {
    my $seen;
    ok(wait_for(10, sub { ($seen = status('/v2/', @args)) =~ $pattern }), $name) or diag("status $seen");
    return;
}

# ---- requests ----

sub curl_args (@args) { return ('--cacert', $trusted, '--connect-to', "::127.0.0.1:$port", @args) }
sub status ($path, @args) {
    return curl(curl_args(@args), '--output', "$tmp/body", '--write-out', '%{http_code}', $path =~ /^http/ ? $path : "$base$path")->{out};
}

# A client's certificate: arguments of curl.
sub by ($who) { return ('--cert', "$ca/$who.crt", '--key', "$ca/$who.key") }

sub make_request ($who, $subject, @more) {
    works(run([ qw(openssl req -new -newkey rsa:2048 -nodes), @more, '-subj', $subject, '-keyout', "$ca/$who.key", '-out', "$ca/$who.csr" ]),
        "a request for $subject");
    return;
}

# As in the manual.
sub issue ($who, @more) {
    make_request($who, "/CN=$who");
    works(run([ qw(openssl ca -batch -notext -config), "$ca/ca.conf", '-subj', "/CN=$who", '-in', "$ca/$who.csr", '-out', "$ca/$who.crt", @more ]),
        "... is signed");
    return;
}

# By an authority that signs whatever stands in the request; with another one's key, if that is given.
sub sign_blindly ($who, $subject, $authority = "$ca/ca") {
    make_request($who, $subject, '-utf8', $subject =~ /(?<!\\)\+/ ? '-multivalue-rdn' : ());
    works(run([ qw(openssl x509 -req -days 2), '-in', "$ca/$who.csr", '-out', "$ca/$who.crt", '-CA', "$authority.crt", '-CAkey', "$authority.key", '-set_serial', 4711 ]),
        '... is signed');
    return;
}

# An upload belongs to the user that has begun it: it tells who a client is.
my %uploads;

sub begin_upload ($who, @args) {
    curl(curl_args(@args), '--request', 'POST', '--dump-header', "$tmp/head", '--output', '/dev/null', "$base/v2/team/app/blobs/uploads/");
    ($uploads{$who}) = slurp("$tmp/head") =~ m{^location: (?:https://[^/]+)?(/v2/\S+)}mi;
    return ok($uploads{$who}, "$who begins an upload");
}

sub is_user ($who, $name, @args) { return is(status($uploads{$who}, @args), 204, $name) }
sub is_other ($who, $name, @args) { return is(status($uploads{$who}, @args), 404, $name) }

# ---- the recipe ----

subtest 'the recipe' => sub {
    my $nginx = run(["$root/bin/nginx"]);
    is($nginx->{exit}, 0, 'nginx runs already') or return diag($nginx->{err});
    my ($changed, @first) = adapt_recipe({ %values, listen => "127.0.0.1:$plain" }, manual_examples('nginx.7', 'RECIPE'));
    is($changed, 5, 'the values of the recipe');
    my @parts = ('Users of the site', 'An authority', 'A certificate for a client', 'nginx');
    my ($head) = manual_source('nginx.7') =~ /^\.SH "CLIENT CERTIFICATES"\n(.*?)^\.SS/ms;
    my @head = $head =~ /^((?:listen|cert|ca)=.*)$/mg;
    my ($more, @second) = adapt_recipe({ listen => $values{listen} }, (map { s/\\-/-/gr } @head), map { part($_) } @parts);
    is($more, 1, 'the values of certificates');
    cmp_ok(scalar @second, '>', 50, 'there is a recipe') or return;
    my $ran = run_recipe($root, @first, @second, { env => \%env });
    works($ran, 'its commands');
    is(scalar(() = $ran->{out} =~ /^\{\}/mg), 2, 'the last one of each section prints {}');
} or BAIL_OUT('there is no registry');

# The first is the recipe's.
issue($_) for 'bob', 'old', 'new';
works(run([ qw(openssl ca -batch -notext -config), "$ca/ca.conf", '-subj', '/CN=ann', '-in', "$ca/old.csr", '-out', "$ca/old.crt",
    qw(-startdate 20200101000000Z -enddate 20200201000000Z) ]), 'a certificate that has expired');
works(run([ qw(openssl ca -batch -notext -config), "$ca/ca.conf", '-subj', '/CN=ann', '-in', "$ca/new.csr", '-out', "$ca/new.crt",
    qw(-startdate 20900101000000Z -enddate 20910101000000Z) ]), '... and one that is not valid yet');
works(run([ qw(openssl req -x509 -newkey rsa:2048 -nodes -days 2), '-subj', "/CN=Clients of $name", '-keyout', "$ca/other.key", '-out', "$ca/other.crt" ]),
    'an authority of the same name');
sign_blindly('forged', '/CN=ann', "$ca/other");
works(run([ qw(openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ann), '-keyout', "$ca/self.key", '-out', "$ca/self.crt" ]),
    'a certificate that is signed by itself');

sub are_refused (@more) {
    is(status('/v2/', by($_), @more), 400, "... $_") for 'old', 'new', 'forged', 'self';
    return;
}

subtest 'who gets in' => sub {
    is(status('/v2/'), 400, 'no certificate');
    is(status('/v2/team/app/blobs/uploads/', '--request', 'POST', '--user', 'ann:secret'), 400, '... but a password');
    are_refused();
    is(status('/v2/', by('ann')), 200, 'ann');
    is(status('/v2/', by('bob')), 200, 'bob');
    begin_upload('ann', by('ann'));
    is_user('ann', 'it is hers', by('ann'));
    is_user('ann', '... whatever password she sends', by('ann'), '--user', 'bob:secret');
    is_other('ann', '... and not bob\'s', by('bob'));
    is_other('ann', '... whatever he claims', by('bob'), '--user', 'ann:secret');
    is(status('/healthz', by('bob')), 200, '/healthz');
};

my %nobody = (
    'two names, hers first'      => '/CN=ann/CN=eve',
    'two names, hers last'       => '/CN=eve/CN=ann',
    'two names in one field'     => '/CN=eve+CN=ann',
    'a field beside the name'    => '/CN=ann+O=x',
    'her name in another field'  => '/CN=eve/O=CN=ann',
    'a comma in another field'   => '/O=x,CN=ann/CN=eve',
    'a comma in the name'        => '/CN=eve,CN=ann',
    'a comma behind the name'    => '/CN=ann,O=x',
    'a plus in the name'         => '/CN=ann\\+O',
    'a backslash in the name'    => '/CN=ann\\\\',
    'a blank behind the name'    => '/CN=ann ',
    'a letter of another script' => "/CN=\xd0\xb0nn",
    'a line end'                 => "/CN=ann\nx",
    'a name that is an option'   => '/CN=-ann',
    'a field behind the name'    => '/CN=ann/O=x',
    'no name'                    => '/O=ann',
);

sub nobody_is_named () {
    for my $what (sort keys %nobody) {
        is(status('/v2/', by($what =~ s/\W+/-/gr)), 401, $what);
    }
    return;
}

subtest 'names that are not clear are nobody\'s' => sub {
    sign_blindly(s/\W+/-/gr, $nobody{$_}) for sort keys %nobody;
    nobody_is_named();
    sign_blindly('company', '/C=DE/O=x, y/OU=CNann/CN=ann');
    is_user('ann', 'a name at the end of a subject counts', by('company'));
    sign_blindly('upper', '/CN=Ann');
    is(status('/v2/', by('upper')), 200, 'capital letters');
    is_other('ann', '... are another name', by('upper'));
    sign_blindly('longer', '/CN=ann.x@example-1.com');
    is(status('/v2/', by('longer')), 200, 'a longer name');
    is_other('ann', '... is another one', by('longer'));
};

subtest 'another site on the port is no way in' => sub {
    spew("$root/etc/nginx/sites-enabled/second", <<~"END");
        server {
            listen 127.0.0.1:$port ssl;
            server_name second.test;
            ssl_certificate $trusted;
            ssl_certificate_key $server_key;
            location / { return 204; }
        }
        END
    is_run('nginx reloads', 'nginx -s reload');
    my @second = ('--insecure', 'https://second.test/v2/');
    ok(wait_for(10, sub { curl(curl_args('--output', '/dev/null', '--write-out', '%{http_code}', @second))->{out} eq '204' }), 'it wants no certificate');
    is(curl(curl_args('--http1.1', '--output', '/dev/null', '--write-out', '%{http_code}', '--header', "Host: $name", @second))->{out}, 421,
        'its connections do not lead to the registry');
    is(status("https://127.0.0.1:$port/v2/"), 400, 'nor does a connection without a name');
};

# ---- clients ----

# The directory of docker, podman and the others.
sub make_directory ($dir, $who) {
    mkdir $dir;
    spew("$dir/ca.crt", slurp($trusted));
    return $dir if !defined $who;
    spew("$dir/client.cert", slurp("$ca/$who.crt"));
    spew("$dir/client.key",  slurp("$ca/$who.key"));
    return $dir;
}

my $at = "127.0.0.1:$port";
my %directory = map { $_ => make_directory("$tmp/certs-$_", $_ eq 'none' ? undef : $_) } 'ann', 'none', 'old', 'forged';
my $REFUSED = qr/400|certificate|handshake|StatusCode/i;

subtest 'skopeo' => sub {
    plan(skip_all => 'skopeo is not installed') if !find_program('skopeo');
    make_layout("$tmp/image", 'v1', 300_000, 2_000_000);
    my @push = ("oci:$tmp/image:v1", "docker://$at/team/skopeo:v1");
    works(skopeo('copy', '--dest-cert-dir', $directory{ann}, @push), 'push');
    works(skopeo('copy', '--src-cert-dir', $directory{ann}, "docker://$at/team/skopeo:v1", "oci:$tmp/pulled:v1"), 'pull');
    is_deeply([ layout_digests("$tmp/pulled") ], [ layout_digests("$tmp/image") ], 'the same image');
    is_refused(skopeo('copy', '--dest-cert-dir', $directory{$_}, @push), $REFUSED, "push with a certificate: $_") for 'none', 'old', 'forged';
};

for my $program ('podman', 'buildah') {
    subtest $program => sub {
        plan(skip_all => "$program is not installed") if !find_program($program);
        my $client = Registry::Clients->$program;
        plan(skip_all => "$program does not run here") if $client->run('info')->{exit};
        my $image = 'localhost/app:v1';
        make_archive("$tmp/$program.tar", $image, 300_000, 100_000);
        works($program eq 'podman' ? $client->run('load', '-i', "$tmp/$program.tar") : $client->run('pull', "docker-archive:$tmp/$program.tar"), 'an image');
        my @push = ($image, "docker://$at/team/$program:v1");
        works($client->run('push', '--cert-dir', $directory{ann}, @push), 'push');
        is_refused($client->run('push', '--cert-dir', $directory{$_}, @push), $REFUSED, "push with a certificate: $_") for 'none', 'old', 'forged';
        works($client->run('rmi', '-a', '-f'), 'it is removed here');
        works($client->run('pull', '--cert-dir', $directory{ann}, "$at/team/$program:v1"), 'pull');
        $client->stop;
    };
}

subtest 'docker' => sub {
    plan(skip_all => 'a docker engine needs root') if !is_root();
    plan(skip_all => 'docker is not installed') if !find_program('dockerd');
    my $docker = Registry::Clients->docker_engine(name => $name) or skip_or_fail("the docker engine does not start: $@");
    my $image  = "$name:$port/team/docker:v1";
    make_archive("$tmp/docker.tar", $image, 300_000, 100_000);
    works($docker->run('load', '-i', "$tmp/docker.tar"), 'an image');
    $docker->trust("$name:$port", $trusted);
    is_refused($docker->run('push', $image), $REFUSED, 'push without a certificate');
    $docker->trust("$name:$port", $trusted, "$ca/old.crt", "$ca/old.key");
    is_refused($docker->run('push', $image), $REFUSED, 'push with one that has expired');
    $docker->trust("$name:$port", $trusted, "$ca/ann.crt", "$ca/ann.key");
    works($docker->run('push', $image), 'push with hers');
    works($docker->run('rmi', '-f', $image), 'it is removed here');
    works($docker->run('pull', $image), 'pull');
    $docker->stop;
};

# ---- the other parts of the section ----

subtest 'names by a list' => sub {
    is_run('its commands', part('Names by a list'));
    is_reloaded(qr/401/, 'a certificate that is not in the list', by('bob'));
    is_user('ann', 'one that is', by('ann'));
    is(status('/v2/', by('company')), 401, 'another one with her name');
    are_refused();
};

subtest 'passwords beside certificates' => sub {
    is_run('its commands', part('Passwords beside certificates'));
    is_reloaded(qr/401/, 'nothing');
    is(status('/v2/', '--dump-header', "$tmp/head"), 401, 'nothing');
    like(slurp("$tmp/head"), qr/^www-authenticate: Basic /mi, '... is asked for a password');
    is_user('ann', 'a certificate alone', by('ann'));
    begin_upload('bob', '--user', 'bob:secret');
    is_user('bob', 'a password alone', '--user', 'bob:secret');
    is_user('bob', 'one user has both', by('bob'));
    is_other('ann', '... who is not ann', '--user', 'bob:secret');
    is(status('/v2/', '--user', $_), 401, "as $_") for 'bob:wrong', 'ann:x', 'ann:secret', 'ann:', ':secret', '-:';
    is(status('/v2/team/app/blobs/uploads/', '--request', 'POST', '--user', 'ann:x'), 401, '... an upload');
    is_user('ann', 'the certificate counts, not the password beside it', by('ann'), '--user', $_) for 'bob:secret', 'bob:wrong';
    nobody_is_named();
    is_user('bob', 'a certificate that is nobody\'s, and a password', by('two-names-hers-first'), '--user', 'bob:secret');
    is(status('/v2/', by('two-names-hers-first'), '--user', $_), 401, "... as $_") for 'bob:wrong', 'ann:x';
    are_refused('--user', 'bob:secret');
};

subtest 'revocation' => sub {
    my @session = ('sh', '-c', "(printf 'GET /v2/ HTTP/1.0\\r\\nHost: $name\\r\\n\\r\\n'; sleep 1) | openssl s_client -tls1_2 -no_ticket -quiet -connect 127.0.0.1:$port "
            . "-servername $name -cert $ca/ann.crt -key $ca/ann.key \"\$0\" $tmp/session 2>&1");
    is_run('certificates only', part('nginx'));
    is_reloaded(qr/400/, 'nothing');
    like(run([ @session, '-sess_out' ])->{out}, qr{^HTTP/1.1 200}m, 'a session of ann\'s');
    is_run('its commands', part('Revocation'));
    is_reloaded(qr/400/, 'ann is refused', by('ann'));
    is(status($uploads{ann}, by('ann')), 400, '... on each path');
    unlike(run([ @session, -s "$tmp/session" ? '-sess_in' : '-sess_out' ])->{out}, qr{^HTTP/1.1 [23]}m, '... also in the session of before');
    is(status('/v2/', by('bob')), 200, 'bob is not');
    is_user('bob', '... and is who he was', by('bob'));
};

is_stopped($root, "$root/lib/docker-registry-server/run/master.pid", "$root/run/docker-registry-server/api.sock");
done_testing();
