# The hooks that ship as samples work once they are copied and their variables are set: a signed notification,
# a deployment, a mirror, tags for signed images alone, a mail.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Clients;
use Registry::Images;
use Registry::Tools;
use Digest::SHA qw(hmac_sha256_hex);
use FindBin;
use IO::Socket::INET ();
use JSON::PP qw(decode_json);
use Test::More;

my $samples = ($ENV{srcdir} // "$FindBin::Bin/../..") . '/hooks';
my $layer   = random_bytes(5000);
# What a hook runs may want more than the user of a registry has.
my @as_is = is_root() ? ('--run-as', 'root') : ();

# A sample as a hook, with other values for its variables and functions.
sub install ($registry, $sample, $hook, %values) {
    my $text = slurp("$samples/$sample.sample");
    for my $name (sort keys %values) {
        $text =~ s/^\Q$name\E=\S*( .*)?$/$name=$values{$name}/m
            or $text =~ s/^\Q$name\E\(\) \{\n.*?^\}$/$name() { $values{$name}; }/ms
            or die "$sample has no variable $name";
    }
    mkdir $registry->dir . '/hooks';
    my $path = $registry->dir . "/hooks/$hook";
    spew("$path.new", $text);
    chmod 0755, "$path.new";
    rename "$path.new", $path or die $!;
    return;
}

# A program of that name, first in PATH.
sub fake ($dir, $name, $text) {
    spew("$dir/$name", "#!/bin/bash\n$text\n");
    chmod 0755, "$dir/$name";
    return;
}

sub tag_of ($client, $name, $tag) { return $client->head("/v2/$name/manifests/$tag")->header('Docker-Content-Digest') }

subtest 'each is correct' => sub {
    my @all = glob "$samples/*.sample";
    cmp_ok(scalar @all, '>', 4, 'there are samples');
    for my $path (@all) {
        my ($name) = $path =~ m{([^/]+)$};
        works(run([ 'bash', '-n', $path ]), "$name: bash understands it");
        works(run([ 'shellcheck', $path ]), "$name: shellcheck finds nothing") if find_program('shellcheck');
        ok(!-x $path, "$name isn't executable");
    }
};

# Answers requests on a port, one after the other, and writes down each.
sub listener ($dir, @statuses) {
    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 20, ReuseAddr => 1) or die $!;
    my $port   = $socket->sockport;
    my $pid    = fork // die;
    return ($port, $pid) if $pid;
    for (my $n = 0;; $n++) {
        my $client = $socket->accept or next;
        my ($head, $body) = ('', '');
        while (defined(my $line = <$client>)) { last if $line =~ /^\r?$/; $head .= $line }
        my ($length) = $head =~ /^Content-Length: (\d+)/mi;
        read $client, $body, $length // 0;
        my $status = shift @statuses // 200;
        print {$client} "HTTP/1.1 $status Whatever\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        close $client;
        spew("$dir/$n.head", $head);
        spew("$dir/new",     $body);
        rename "$dir/new", "$dir/$n.body";
    }
}

subtest 'a signed notification' => sub {
    need_here('curl') or return;
    my $dir = tempdir();
    my ($port, $pid) = listener($dir, 500);
    my $user     = 'ann "the" \back $(x)';
    my $registry = Registry->start(args => [ '--user', "$user:secret" ], user => "$user:secret");
    spew($registry->dir . '/secret', "it's a \"secret\"\n");
    my %values = (url => "http://127.0.0.1:$port/events", secret_file => 'secret', registry => 'https://registry.example.com');
    mkdir $registry->dir . '/hooks';
    install($registry, 'notify-url', $_, %values) for 'tag', 'delete';
    is_status($registry->push_image('team/app', 'v1', [$layer]), 201, 'a push');
    my $digest = tag_of($registry, 'team/app', 'v1');
    ok(wait_for(60, sub { -e "$dir/1.body" }), 'it is told, and told again after an error');
    is(slurp("$dir/1.body"), slurp("$dir/0.body"), '... with the same notification');
    my ($head, $body) = (slurp("$dir/1.head"), slurp("$dir/1.body"));
    like($head, qr{^POST /events HTTP}, 'as a POST');
    like($head, qr{^Content-Type: application/vnd\.docker\.distribution\.events\.v1\+json\r$}mi, '... of the right type');
    my ($signature) = $head =~ /^X-Registry-Signature: sha256=([0-9a-f]{64})\r$/mi;
    is($signature, hmac_sha256_hex($body, q{it's a "secret"}), '... and rightly signed');
    my $event = decode_json($body)->{events}[0];
    like(delete $event->{timestamp}, qr/^\d{4}-\d\d-\d\dT[\d:.]+Z$/, 'when it was');
    like(delete $event->{id}, qr/-\d+$/, 'which it was');
    ok(delete $event->{source}{addr}, 'where it was');
    is_deeply($event, {
        action => 'push', actor => { name => $user }, source => {},
        target => {
            mediaType => $Registry::Client::TYPE{manifest}, repository => 'team/app', tag => 'v1', digest => $digest,
            url => "https://registry.example.com/v2/team/app/manifests/$digest",
        },
    }, 'and what');
    is_status($registry->delete("/v2/team/app/manifests/$digest"), 202, 'it is deleted');
    ok(wait_for(60, sub { -e "$dir/2.body" }), 'that is told, too');
    my $deleted = decode_json(slurp("$dir/2.body"))->{events}[0];
    is_deeply([ @$deleted{'action'}, @{ $deleted->{target} }{qw(repository digest tag)} ], [ 'delete', 'team/app', $digest, undef ], '... as a deletion');
    $registry->stop;

    my %event = map { ("REGISTRY_$_" => 'x') } qw(EVENT EVENT_ID TIME MEDIA_TYPE REPOSITORY DIGEST TAG ACTOR);
    my %secrets = (missing => undef, empty => '', 'with an empty first line' => "\nsecret\n");
    for my $how (sort keys %secrets) {
        unlink $registry->dir . '/secret';
        spew($registry->dir . '/secret', $secrets{$how}) if defined $secrets{$how};
        my $ran = run([ './hooks/tag' ], cwd => $registry->dir, env => \%event);
        isnt($ran->{exit}, 0, "a secret file that is $how is a failure");
        like($ran->{err}, qr/\bsecret\b/, '... which names the file');
    }
    spew($registry->dir . '/secret', 'without an end of the line');
    works(run([ './hooks/tag' ], cwd => $registry->dir, env => \%event), 'with a secret again it is told');
    ok(wait_for(60, sub { -e "$dir/3.body" }), '... the next one after the deletion');
    is(decode_json(slurp("$dir/3.body"))->{events}[0]{timestamp}, 'x', '... and without a secret nothing was');
    ok(!-e "$dir/4.body", '... so this one is the last');
    kill 'KILL', $pid;
    waitpid $pid, 0;
};

# In a subtest: are they there? Else it is skipped, or fails where all has to be there.
sub need_here (@programs) {
    my @missing = grep { !find_program($_) } @programs or return 1;
    if (($ENV{CI} // '') eq 'true') { fail("@missing installed") }
    else { plan(skip_all => "@missing not installed") }
    return 0;
}

subtest 'a deployment' => sub {
    need_here('podman') or return;
    my $podman = Registry::Clients->podman;
    plan skip_all => 'podman does not run here' if $podman->run('info')->{exit};
    my $seen     = tempdir();
    my $registry = Registry->start(args => [@as_is], env => $podman->{env});
    my $address  = '127.0.0.1:' . $registry->port;
    my $command  = join ' ', @{ $podman->{command} };
    make_archive("$seen/image.tar", "$address/team/app:ci", 50_000);
    works($podman->run('load', '-i', "$seen/image.tar"), 'an image');
    works($podman->run('push', '--tls-verify=false', "$address/team/app:ci"), '... is pushed');
    works($podman->run('rmi', '-a', '-f'), '... and removed here');
    install($registry, 'deploy', 'tag', image => 'team/app', registry => $address,
        pull => qq{$command pull --quiet --tls-verify=false "\$1"}, restart => "echo restarted >>$seen/restarts");
    is_status($registry->push_image('team/other', 'latest', [$layer]), 201, 'another one is tagged');
    my $manifest = $registry->get('/v2/team/app/manifests/ci')->content;
    is_status($registry->put_manifest('team/app', $_, $manifest), 201, "$_ is tagged") for 'old', 'latest';
    ok(wait_for(60, sub { -e "$seen/restarts" }), 'what runs it is restarted');
    ok(wait_for(60, sub { $registry->output =~ /deployed team\/app, sha256:/ }), 'the log says so');
    works($podman->run('image', 'exists', "$address/team/app:latest"), 'the image is here');
    is(slurp("$seen/restarts"), "restarted\n", 'once');
    unlike($registry->output, qr/deployed team\/(other|app:old)/, '... of nothing else');
    is(scalar(() = $registry->logged(qr/hook failed/)), 0, '... and of no failure');
    $registry->stop;
    $podman->stop;
};

subtest 'a mirror' => sub {
    need_here('skopeo') or return;
    my $home     = tempdir();
    my $podman   = Registry::Clients->podman;    # for its settings
    my $mirror   = Registry->start;
    my $registry = Registry->start(args => [@as_is], env => $podman->{env});
    install($registry, 'mirror', 'tag', from => '127.0.0.1:' . $registry->port, to => '127.0.0.1:' . $mirror->port . '/ours',
        only => "'team/*'", options => '(--src-tls-verify=false --dest-tls-verify=false)');
    my $index = make_layout_index("$home/layout", 'v1', 3000, 2000);
    works(skopeo('copy', '--quiet', '--all', '--dest-tls-verify=false', "oci:$home/layout:v1", 'docker://127.0.0.1:' . $registry->port . '/team/app:v1'),
        'an image of two platforms is pushed');
    is_status($registry->push_image('other/app', 'v1', [$layer]), 201, 'and another one');
    is_status($registry->push_image('team/docker', 'latest', [$layer], kind => 'docker'), 201, 'and one of docker\'s types');
    ok(wait_for(60, sub { tag_of($mirror, 'ours/team/docker', 'latest') }), 'it is in the mirror');
    is(tag_of($mirror, 'ours/team/docker', 'latest'), tag_of($registry, 'team/docker', 'latest'), '... with the same digest');
    ok(wait_for(60, sub { (tag_of($mirror, 'ours/team/app', 'v1') // '') eq $index }), '... and the first one, all of it');
    my $children = $mirror->get('/v2/ours/team/app/manifests/v1')->json->{manifests};
    is_status($mirror->get("/v2/ours/team/app/manifests/$_->{digest}"), 200, "... platform $_->{platform}{architecture}") for @$children;
    is(tag_of($mirror, 'ours/other/app', 'v1'), undef, 'what the pattern leaves out is not');
    $_->stop for $registry, $mirror, $podman;
};

# Something attached to a manifest: an artifact of that type, with a subject.
sub attach ($registry, $name, $type, $subject, $reference = undef) {
    my $payload = "a signature of $subject";
    $registry->push_blob($name, $_) for $payload, '{}';
    my $artifact = json_of({
        schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest}, ($type ? (artifactType => $type) : ()),
        config => $registry->descriptor('application/vnd.oci.empty.v1+json', '{}'),
        layers => [ $registry->descriptor('application/octet-stream', $payload) ],
        $reference ? () : (subject => { mediaType => $Registry::Client::TYPE{manifest}, digest => $subject, size => 1 }),
    });
    return $registry->put_manifest($name, $reference // digest($artifact), $artifact);
}

subtest 'tags for what is signed' => sub {
    need_here('curl') or return;
    my $bin      = tempdir();
    my $registry = Registry->start(args => [ '--user', 'ann:secret' ], user => 'ann:secret', env => { PATH => "$bin:$ENV{PATH}" });
    spew("$bin/netrc", "machine 127.0.0.1 login ann password secret\n");
    my %values = (registry => 'http://127.0.0.1:' . $registry->port, netrc => "$bin/netrc");
    install($registry, 'refuse-unsigned', 'pre-tag', %values);

    my %ways = (
        notation => sub ($digest) { return attach($registry, 'team/app', 'application/vnd.cncf.notary.signature', $digest) },
        'a bundle of cosign' => sub ($digest) { return attach($registry, 'team/app', 'application/vnd.dev.sigstore.bundle.v0.3+json', $digest) },
        'cosign, as a tag' => sub ($digest) { return attach($registry, 'team/app', undef, $digest, ($digest =~ s/:/-/r) . '.sig') },
    );
    for my $way (sort keys %ways) {
        my $free = $registry->push_image('team/app', 'ci-17', [$layer], note => $way);
        is_status($free, 201, 'a tag that is free for all');
        my ($manifest) = ($registry->image_of([$layer], note => $way))[1];
        my $digest  = digest($manifest);
        my $refused = $registry->put_manifest('team/app', 'v1', $manifest);
        is_error($refused, 403, 'DENIED', 'another is refused');
        is($refused->message, "team/app:v1 isn't signed: sign team/app\@$digest first", '... with what to do');
        is_status(attach($registry, 'team/app', 'application/vnd.example.sbom', $digest), 201, 'something else is attached');
        is_error($registry->put_manifest('team/app', 'v1', $manifest), 403, 'DENIED', '... which does not help');
        is_status($ways{$way}->($digest), 201, "it is signed by $way");
        is_status($registry->put_manifest('team/app', 'v1', $manifest), 201, '... and let through');
        is(tag_of($registry, 'team/app', 'v1'), $digest, '... the tag is there');
    }

    my $other = ($registry->image_of([$layer], note => 'other'))[1];
    install($registry, 'refuse-unsigned', 'pre-tag', %values, netrc => "$bin/none");
    like($registry->put_manifest('team/app', 'v1', $other)->message, qr/^cannot look for signatures of team\/app: http\S+ answers with \d+$/,
        'without the password nothing is said about signatures');

    fake($bin, 'cosign', qq{echo "\$*" >>$bin/asked 2>/dev/null; [ -e $bin/good ] || { echo 'no matching signatures' >&2; exit 1; }});
    spew("$bin/asked", '');
    chmod 0666, "$bin/asked";
    my $signed = ($registry->image_of([$layer], note => 'notation'))[1];
    install($registry, 'refuse-unsigned', 'pre-tag', %values, cosign_key => 'ours.pub');
    is($registry->put_manifest('team/app', 'v2', $signed)->message, "team/app:v2 isn't signed with the right key", 'with a key, any signature will not do');
    like(slurp("$bin/asked"), qr{^verify --key ours\.pub .*127\.0\.0\.1:\d+/team/app\@\Q${\ digest($signed)}\E$}m, '... cosign looks at it');
    spew("$bin/good", '');
    is_status($registry->put_manifest('team/app', 'v2', $signed), 201, 'the right one will');
    $registry->stop;
};

subtest 'a mail' => sub {
    my $bin = tempdir();
    my $out = tempdir();
    chmod 0777, $out;
    fake($bin, 'sendmail', qq{n=\$\$; printf '%s\\n' "\$@" >$out/\$n.args; cat >$out/\$n.new; mv $out/\$n.new $out/\$n.mail});
    my $user     = 'a"b $(touch pwned) `id`';
    my $registry = Registry->start(args => [ '--user', "$user:secret" ], user => "$user:secret", env => { PATH => "$bin:$ENV{PATH}" });
    install($registry, 'mail', $_, to => 'ops@example.org', from => 'registry@example.org') for 'tag', 'untag';
    is_status($registry->push_image('team/app', 'v1', [$layer]), 201, 'a push');
    my $digest = tag_of($registry, 'team/app', 'v1');
    ok(wait_for(60, sub { 1 == (() = glob "$out/*.mail") }), 'gives a mail');
    my $mail = slurp((glob "$out/*.mail")[0]);
    is(slurp((glob "$out/*.args")[0]), "-i\n-f\nregistry\@example.org\n--\nops\@example.org\n", '... to the right one');
    like($mail, qr/^From: registry\@example\.org\nTo: ops\@example\.org\nSubject: \S+: team\/app:v1 was tagged\n/, '... from the right one, about the right thing');
    my ($head, $body) = split /\n\n/, $mail, 2;
    unlike($head, qr/pwned/, 'the name of the user is in no header');
    like($body, qr/^by \Q$user\E, at /m, '... but in the text, as it is');
    like($body, qr/^digest\s+$digest$/m, 'with the digest');
    is_status($registry->delete('/v2/team/app/manifests/v1'), 202, 'a tag goes');
    ok(wait_for(60, sub { grep { slurp($_) =~ /was untagged/ } glob "$out/*.mail" }), 'that is a mail, too');
    $registry->stop;
};

finish();
