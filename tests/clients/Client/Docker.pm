package Client::Docker;
use v5.36;
use parent 'Client';
use MIME::Base64 qw(encode_base64);
use Registry::Clients ();
use Registry::Tools;

# One engine for all places. It knows 127.0.0.1 by another name where it is to look at certificates.

my $NAME = 'registry.test';
my $engine;

sub name ($class)     { return 'docker' }
sub programs ($class) { return ('docker', 'dockerd') }

sub version ($class) { return $class->engine->run('version', '--format', '{{.Server.Version}}')->{out} =~ /^([\d.]+)/ ? $1 : '?' }

sub absent ($class) {
    my $why = $class->SUPER::absent;
    return $why if defined $why;
    return 'an engine needs root' if !is_root();
    return $class->engine ? undef : "the engine does not start: $@";
}

sub engine ($class) { return $engine //= Registry::Clients->docker_engine(name => $NAME) }

sub finish ($class) {
    $engine->stop if $engine;
    undef $engine;
    return;
}

sub call ($self, @args) { return $engine->run(@args) }

# The image is made of nothing but tars.
sub prepare ($self) {
    if ($self->place->closed) {
        $self->{at} = "$NAME:" . $self->place->port;
        $engine->trust($self->at, $self->place->authority);
    }
    spew($self->dir('one'), random_bytes(500_000));
    $self->must('import', $self->_tar('one'), $self->ref_to);
    return;
}

sub _tar ($self, $name) {
    $self->good($self->exec([ 'tar', '-cf', $self->dir("$name.tar"), '-C', $self->home, $name ]));
    return $self->dir("$name.tar");
}

sub login ($self) { return $self->must('login', '-u', 'ann', '-p', 'secret', $self->at) }

sub wrong_password ($self) {
    $self->must_not($Client::REFUSED, 'login', '-u', 'ann', '-p', 'wrong', $self->at);
    # and one that no login has checked
    my $auth = encode_base64('ann:wrong', '');
    spew($engine->home . '/config/config.json', json_of({ auths => { $self->at => { auth => $auth } } }));
    $self->must_not(qr/unauthorized: wrong user name or password/, 'push', $self->ref_to);
    return $self->login;
}

sub push ($self) {
    my ($digest) = $self->must('push', $self->ref_to) =~ /digest: (sha256:\w+)/;
    $self->{id}     = $self->must('image', 'inspect', '--format', '{{.Id}}', $self->ref_to) =~ s/\s+$//r;
    $self->{digest} = $digest;
    my $manifest = $self->place->serves($self->repo, 'v1', $digest);
    return $self->same($manifest->{config}{digest}, $self->{id}, 'the configuration');
}

sub _fetch ($self, $name) {
    $self->must('rmi', '-f', $self->{id});
    $self->must('pull', $name);
    $self->same($self->must('image', 'inspect', '--format', '{{.Id}}', $name) =~ s/\s+$//r, $self->{id}, 'the image');
    return $self->must('tag', $self->{id}, $self->ref_to);
}

sub pull ($self) { return $self->_fetch($self->ref_to) }

sub pull_digest ($self) { return $self->_fetch($self->ref_by($self->{digest})) }

sub missing ($self) { return $self->must_not($Client::MISSING, 'pull', $self->ref_to('app', 'none')) }

sub copy ($self) {
    $self->must('tag', $self->ref_to, $self->ref_to('copy'));
    my $out = $self->must('push', $self->ref_to('copy'));
    die "not mounted: $out\n" if $out !~ m{Mounted from docker/app};
    my $manifest = $self->place->serves($self->repo('copy'), 'v1', $self->place->digest_at($self->repo('copy'), 'v1'));
    return $self->same($manifest->{config}{digest}, $self->{id}, 'the configuration');
}

# The command line alone does this, and knows nothing of the engine's names. On the loopback network
# it would send the end of it by plain HTTP; 0.0.0.0 leads there as well.
sub index ($self) {
    my $closed = $self->place->closed;
    local $self->{at} = ($closed ? '0.0.0.0:' : '127.0.0.1:') . $self->place->port;
    local $ENV{SSL_CERT_FILE} = $self->{env}{SSL_CERT_FILE} // '';
    my @how = $closed ? () : '--insecure';
    if ($closed) {
        my $auth = encode_base64('ann:secret', '');
        spew($engine->home . '/config/config.json', json_of({ auths => { $self->at => { auth => $auth } } }));
    }
    my $repository = $self->repo('index');
    $self->place->put_layout($repository, 'index');
    my @children = map { $_->{digest} } @{ $self->place->serves($repository, $self->place->digest_of('index'))->{manifests} };
    $self->must('manifest', 'create', @how, $self->ref_to('index', 'made'), map { $self->ref_by($_, 'index') } @children);
    $self->must('manifest', 'push', @how, $self->ref_to('index', 'made'));
    my $index = $self->place->serves($repository, 'made', $self->place->digest_at($repository, 'made'));
    return $self->same_list([ sort map { $_->{digest} } @{ $index->{manifests} } ], [ sort @children ], 'children');
}

# ---- with rules ----

# The images to give, as on the machine that they were built on.
sub _image ($self, $which) {
    return $self->{given}{$which} //= do {
        my $name = "local/$which:" . $self->place->label;
        spew($self->dir($which), random_bytes(300_000));
        $self->must('import', $self->_tar($which), $name);
        $name;
    };
}

sub enter ($self, $user, $password = undef) {
    return $self->call('login', '-u', $user, '-p', $self->password_of($user, $password), $self->at);
}

sub leave ($self) { return $self->call('logout', $self->at) }

sub give ($self, $path, $which) {
    $self->must('tag', $self->_image($which), $self->named($path));
    return $self->call('push', $self->named($path));
}

sub take ($self, $path) {
    $self->call('rmi', '-f', $self->named($path));
    return $self->call('pull', $self->named($path));
}

# A push to another name mounts the layers.
sub carry ($self, $from, $to) {
    my $ran = $self->take($from);
    return $ran if $ran->{exit};
    $self->must('tag', $self->named($from), $self->named($to));
    return $self->call('push', $self->named($to));
}

sub lists ($self) { return $self->call('search', '--no-trunc', $self->at . '/app') }

1;
