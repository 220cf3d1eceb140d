package Client::Helm;
use v5.36;
use parent 'Client';
use Registry::Tools;

# It pushes and pulls charts, and nothing else.

sub name ($class)     { return 'helm' }
sub programs ($class) { return 'helm' }
sub module ($class)   { return 'helm.sh/helm/v4/cmd/helm@v4.3.1' }

# Charts of three versions, on disk.
sub prepare ($self) {
    my $chart = $self->dir('app');
    mkdir $_ for $chart, "$chart/templates";
    spew("$chart/templates/note.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: note\n");
    spew("$chart/values.yaml", 'note: ' . unpack('H*', random_bytes(20_000)) . "\n");
    for my $version ('1.0.0', '1.2.0', '2.0.0') {
        spew("$chart/Chart.yaml", "apiVersion: v2\nname: app\ntype: application\nversion: $version\n");
        $self->must('package', $chart);
    }
    return;
}

sub how ($self) { return $self->place->closed ? ('--ca-file', $self->place->authority) : '--plain-http' }

sub there ($self) { return 'oci://' . $self->at . '/' . $self->name }

sub login ($self) { return $self->must('registry', 'login', $self->how, '-u', 'ann', '-p', 'secret', $self->at) }

sub wrong_password ($self) {
    return $self->must_not($Client::REFUSED, 'registry', 'login', $self->how, '-u', 'ann', '-p', 'wrong', $self->at);
}

sub push ($self) {
    for my $version ('1.0.0', '1.2.0', '2.0.0') {
        my $out = $self->must('push', $self->how, $self->dir("app-$version.tgz"), $self->there);
        my $ran = $self->place->digest_at($self->repo, $version);
        my $manifest = $self->place->serves($self->repo, $version, $ran);
        my $layer    = $self->place->only_layer($self->repo, $manifest);
        $self->same(digest($layer), file_digest($self->dir("app-$version.tgz")), 'the chart');
    }
    return;
}

sub _fetch ($self, $version, @which) {
    my $to = $self->dir('to' . ++$self->{fetched});
    mkdir $to;
    $self->must('pull', $self->how, '--destination', $to, @which);
    my ($file) = glob "$to/*.tgz";
    return $self->same(file_digest($file // die "nothing came\n"), file_digest($self->dir("app-$version.tgz")), 'the chart');
}

sub pull ($self) { return $self->_fetch('1.2.0', $self->there . '/app', '--version', '1.2.0') }

sub pull_digest ($self) {
    return $self->_fetch('1.0.0', $self->there . '/app@' . $self->place->digest_at($self->repo, '1.0.0'));
}

# It has no list; but it looks into that of the registry for a version that fits.
sub tags ($self) { return $self->_fetch('1.2.0', $self->there . '/app', '--version', '^1.0.0') }

sub missing ($self) {
    return $self->must_not($Client::MISSING, 'pull', $self->how, $self->there . '/app', '--version', '9.9.9');
}

# ---- with rules ----

# A chart is called app, and its versions are its tags.
my %VERSION = (v1 => '1.0.0', new => '1.2.0', more => '2.0.0');

sub held ($self, $path) {
    my ($repository, $tag) = $self->SUPER::held($path);
    return ($repository, $VERSION{$tag});
}

sub enter ($self, $user, $password = undef) {
    return $self->call('registry', 'login', $self->how, '-u', $user, '-p', $self->password_of($user, $password), $self->at);
}

sub leave ($self) { return $self->call('registry', 'logout', $self->at) }

# A chart for any name; of other values for "small".
sub give ($self, $path, $which) {
    my ($repository, $version) = $self->held($path);
    my ($above, $name) = $repository =~ m{^(.*)/(.*)$};
    my $dir = $self->fresh;
    mkdir $_ for $dir, "$dir/$name";
    spew("$dir/$name/Chart.yaml",  "apiVersion: v2\nname: $name\ntype: application\nversion: $version\n");
    spew("$dir/$name/values.yaml", "note: $which\n");
    $self->must('package', '--destination', $dir, "$dir/$name");
    return $self->call('push', $self->how, "$dir/$name-$version.tgz", 'oci://' . $self->at . "/$above");
}

sub take ($self, $path) {
    my ($repository, $version) = $self->held($path);
    my $dir = $self->fresh;
    mkdir $dir;
    return $self->call('pull', $self->how, '--destination', $dir, 'oci://' . $self->at . "/$repository", '--version', $version);
}

1;
